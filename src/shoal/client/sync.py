"""`Client`: the same calls without `await`. A thin shell: `AsyncClient` in an event loop of its own thread.

Thread-safe: any number of threads may call one `Client` at once and share its one connection.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import weakref
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar, overload

import numpy.typing as npt
import uvloop

from shoal.client.address import DEFAULT_URL, Tls
from shoal.client.aio import AsyncClient
from shoal.client.operations import ModelEntry, ServerMetadata, Statistics
from shoal.client.retry import Retries
from shoal.core.errors import Cancelled
from shoal.core.types import InferenceResponse, ModelMetadata, Parameters

T = TypeVar("T")
Array = npt.NDArray[Any]


class Client:
    """A synchronous client; arguments, results and errors of all methods are those of `AsyncClient`."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        protocol: str = "rest",
        timeout: float = 60.0,
        key: str | None = None,
        tls: Tls | ssl.SSLContext | None = None,
        retries: int | Retries = 2,
    ) -> None:
        self._core = AsyncClient(url, protocol=protocol, timeout=timeout, key=key, tls=tls, retries=retries)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=_run_loop, args=(self._loop,), name="shoal-client", daemon=True)
        self._thread.start()
        self._end = weakref.finalize(self, _begin_end, self._core, self._loop)

    def infer(
        self,
        model: str,
        inputs: Any,
        *,
        version: str | int | None = None,
        outputs: list[str] | None = None,
        id: str | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
        binary: bool = True,
        pure: bool = True,
    ) -> InferenceResponse:
        """See `AsyncClient.infer`."""
        return self._run(
            self._core.infer(
                model,
                inputs,
                version=version,
                outputs=outputs,
                id=id,
                parameters=parameters,
                timeout=timeout,
                binary=binary,
                pure=pure,
            )
        )

    def predict(
        self, model: str, inputs: Any, *, version: str | int | None = None, timeout: float | None = None
    ) -> Array | dict[str, Array]:
        """See `AsyncClient.predict`."""
        return self._run(self._core.predict(model, inputs, version=version, timeout=timeout))

    def predict_all(
        self, model: str, inputs: list[str], *, version: str | int | None = None, timeout: float | None = None
    ) -> list[str]:
        """See `AsyncClient.predict_all`."""
        return self._run(self._core.predict_all(model, inputs, version=version, timeout=timeout))

    def live(self) -> bool:
        """See `AsyncClient.live`."""
        return self._run(self._core.live())

    def ready(self, model: str | None = None, *, version: str | int | None = None) -> bool:
        """See `AsyncClient.ready`."""
        return self._run(self._core.ready(model, version=version))

    @overload
    def metadata(self, model: None = None) -> ServerMetadata: ...

    @overload
    def metadata(self, model: str, *, version: str | int | None = None) -> ModelMetadata: ...

    def metadata(self, model: str | None = None, *, version: str | int | None = None) -> ServerMetadata | ModelMetadata:
        """See `AsyncClient.metadata`."""
        if model is None:
            return self._run(self._core.metadata())
        return self._run(self._core.metadata(model, version=version))

    def models(self) -> list[ModelEntry]:
        """See `AsyncClient.models`."""
        return self._run(self._core.models())

    def load(self, model: str, *, config: str | None = None, timeout: float | None = None) -> None:
        """See `AsyncClient.load`."""
        self._run(self._core.load(model, config=config, timeout=timeout))

    def unload(self, model: str, *, timeout: float | None = None) -> None:
        """See `AsyncClient.unload`."""
        self._run(self._core.unload(model, timeout=timeout))

    def statistics(self, model: str | None = None, *, version: str | int | None = None) -> Statistics:
        """See `AsyncClient.statistics`."""
        return self._run(self._core.statistics(model, version=version))

    def close(self) -> None:
        """Close the connection and end the thread; closing twice does nothing."""
        self._end()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=10)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        if not self._end.alive:
            call.close()
            raise Cancelled("the client is closed", hint="make a new one, or keep it open as long as it is used")
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


def _begin_end(core: AsyncClient, loop: asyncio.AbstractEventLoop) -> None:
    """Tell the thread to end; does not wait, as the garbage collector may call this anywhere."""
    asyncio.run_coroutine_threadsafe(_end(core, loop), loop)


async def _end(core: AsyncClient, loop: asyncio.AbstractEventLoop) -> None:
    """Close, let the calls under way hear of it, and stop."""
    await core.close()
    others = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
    if others:
        await asyncio.wait(others, timeout=2)
    loop.stop()
