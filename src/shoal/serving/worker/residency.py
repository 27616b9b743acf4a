"""What a worker has loaded: models by the number that batches name them by."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from shoal.core.clock import Clock
from shoal.core.errors import ConfigError, ModelError, NotReady, ShoalError
from shoal.core.ipc.messages import Load, Loaded, LoadFailed, Unload, Unloaded
from shoal.core.model import ModelSpec
from shoal.serving.adapters.base import Adapter
from shoal.serving.worker import contract
from shoal.serving.worker.footprint import file_bytes
from shoal.serving.worker.served import Served
from shoal.serving.worker.upkeep import Upkeep

logger = logging.getLogger(__name__)

FRAMEWORK = 50
"""Modules that come with a model's adapter beyond which they are a framework's: it stays, and is nobody's footprint."""
CONFINED = "a worker opens only what it needs; the settings `network` and `confinement` say what else it may"
"""Hint for a model that was denied something."""
Factory = Callable[[ModelSpec], Adapter]


class Residency:
    """The loaded models. One thread may load while another one finds and unloads.

    Args:
        create: makes the adapter for a spec.
        clock: monotonic seconds.
        upkeep: told when models come and go, to keep memory in order.
    """

    def __init__(self, create: Factory, clock: Clock, upkeep: Upkeep) -> None:
        self.upkeep = upkeep
        self._create = create
        self._clock = clock
        self._models: dict[int, Served] = {}
        self._footprints: dict[int, int] = {}

    def find(self, number: int) -> Served:
        """The model of a number.

        Raises:
            NotReady: it is not loaded.
        """
        served = self._models.get(number)
        if served is None:
            raise NotReady("the model is not loaded in this worker")
        return served

    def load(self, message: Load) -> Loaded | LoadFailed:
        """Load a model and try it; a failure is an answer, and leaves nothing behind."""
        if message.model in self._models:
            error = ConfigError(f"model number {message.model} is loaded already")
            return LoadFailed(message.model, error.to_record())
        name = message.spec.name
        try:
            with self.upkeep.loading():
                served, loaded = self._load(message)
        except Exception as error:
            logger.exception("load failed", extra={"model": name})
            return LoadFailed(message.model, explain(name, error).to_record())
        self._footprints[message.model] = loaded.memory_bytes
        self._models[message.model] = served
        self.upkeep.loaded(loaded.memory_bytes)
        return loaded

    def _load(self, message: Load) -> tuple[Served, Loaded]:
        started, known = self._clock(), message.known
        before, modules = self.upkeep.resident_bytes(), len(sys.modules)
        adapter = self._create(message.spec)
        if len(sys.modules) > modules + FRAMEWORK:
            before = self.upkeep.resident_bytes()
        try:
            adapter.load()
            served = Served(message.spec, adapter, self._clock, None if known is None else known.signature)
            verdict = contract.examine(served, self._clock) if known is None else self._recheck(served, known)
        except BaseException:
            _close(adapter, message.spec.name)
            raise
        served.style.batchable = verdict.batchable
        if verdict.reason and message.spec.batchable is None:
            logger.warning("requests of %s are not stacked: %s", message.spec.name, verdict.reason)
        seconds = self._clock() - started
        growth = self.upkeep.resident_bytes() - before
        least = file_bytes(message.spec.path) if known is None else known.memory_bytes
        facts = (
            served.signature,
            adapter.platform,
            verdict.batchable,
            verdict.reason,
            seconds,
            max(growth, least),
            verdict.example,
        )
        return served, Loaded(message.model, *facts)

    def _recheck(self, served: Served, known: Loaded) -> contract.Verdict:
        """What was found out before holds still; whether the model answers is tried once."""
        contract.probe(served, known.example, self._clock)
        return contract.Verdict(known.batchable, known.batch_reason, known.example)

    def unload(self, message: Unload) -> Unloaded:
        """Let go of a model; one that is not there is let go of already."""
        before = self.upkeep.resident_bytes()
        served = self._models.pop(message.model, None)
        if served is not None:
            _close(served, served.spec.name)
            del served
            self.upkeep.unloaded(self._footprints.pop(message.model, 0))
        return Unloaded(message.model, self.upkeep.resident_bytes(), before)


def _close(what: Adapter | Served, name: str) -> None:
    """Close, whatever the author's code does then: nothing depends on it."""
    try:
        what.close()
    except Exception:
        logger.exception("close failed", extra={"model": name})


def explain(name: str, error: Exception) -> ShoalError:
    """A failure to load, with the model's name and the cause."""
    if isinstance(error, ShoalError):
        text = error.message if repr(name) in error.message else f"model {name!r} cannot be loaded: {error.message}"
        return type(error)(text, hint=error.hint, field=error.field, retry_after=error.retry_after)
    cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    hint = CONFINED if isinstance(error, PermissionError) else ""
    return ModelError(f"model {name!r} cannot be loaded: {cause[:1000]}", hint=hint)
