"""Loading and unloading on request: what REST and gRPC share of the model repository extension.

A load or unload goes on when its client leaves; whoever asks again sees its outcome in the index. `done` or `failed` is
called exactly once for each request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from shoal.core.errors import InvalidInput, NotFound, Overloaded, ShoalError, Unavailable, Unsupported
from shoal.core.ports import Models
from shoal.core.tasks import Tasks
from shoal.serving.gateway import lookup, problems

AT_ONCE = 16
"""Loads and unloads that may run or wait at the same time."""

Done = Callable[[], None]
Failed = Callable[[ShoalError], None]


class Repository:
    """Runs loads and unloads as tasks that it owns."""

    def __init__(self) -> None:
        self._tasks = Tasks()
        self._running = 0

    def load(self, models: Models, name: str, parameters: Mapping[str, object], done: Done, failed: Failed) -> None:
        """Load a model.

        Args:
            models: those that whoever asks may see.
            name: as the client wrote it.
            parameters: `config` is JSON text that overrides fields of the model's settings; files are not taken.
            done: called when the model is ready.
            failed: called with what went wrong.
        """
        try:
            config = _config(parameters)
        except ShoalError as error:
            failed(error)
            return
        self._start("load", models, name, lambda: models.load(name, config), done, failed)

    def unload(self, models: Models, name: str, done: Done, failed: Failed) -> None:
        """Drain a model and stop serving it."""
        self._start("unload", models, name, lambda: models.unload(name), done, failed)

    async def close(self) -> None:
        """End what still runs; who waits for it is told."""
        await self._tasks.close()

    def _start(
        self, what: str, models: Models, name: str, work: Callable[[], Awaitable[None]], done: Done, failed: Failed
    ) -> None:
        try:
            lookup.checked_name(name)
            if self._running >= AT_ONCE:
                raise Overloaded(f"{AT_ONCE} loads and unloads are running", retry_after=5.0)
        except ShoalError as error:
            failed(error)
            return
        self._running += 1
        self._tasks.start(f"{what} {name}", self._run(models, name, work, done, failed))

    async def _run(
        self, models: Models, name: str, work: Callable[[], Awaitable[None]], done: Done, failed: Failed
    ) -> None:
        try:
            error = await _outcome(models, name, work)
        except asyncio.CancelledError:
            failed(Unavailable("the node stops"))
            raise
        finally:
            self._running -= 1
        if error is None:
            done()
        else:
            failed(error)


async def _outcome(models: Models, name: str, work: Callable[[], Awaitable[None]]) -> ShoalError | None:
    try:
        await work()
    except NotFound as error:
        return lookup.with_near_names(models, name, error)
    except ShoalError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever it is, the one who waits is answered and the log has it
        return problems.unexpected(error)
    return None


def _config(parameters: Mapping[str, object]) -> str | None:
    for key in parameters:
        if key != "config":
            raise Unsupported(
                f"the load parameter {key[:80]!a} is not offered",
                hint="put files into the repository",
                field=f"parameters.{key[:80]}",
            )
    config = parameters.get("config")
    if config is None or isinstance(config, str):
        return config
    raise InvalidInput("config is not a text that holds JSON", field="parameters.config")
