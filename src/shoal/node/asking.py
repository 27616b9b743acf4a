"""Questions to control, asked from the event loop: each runs in a thread, and none may keep the node from ending.

The feed's question waits at control for long, so it has daemon threads of its own; the others share a few.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from shoal.client.control import ControlClient
from shoal.client.retry import Retries
from shoal.core.access import AccessTable
from shoal.core.errors import PermissionDenied, ShoalError, Unauthenticated, Unavailable
from shoal.core.keyring import DeniedBatch
from shoal.core.routes import Feed, NodeStatus, Route

SECONDS = 5.0
"""How long control may take for an answer."""
THREADS = 4
RETRIES = Retries(attempts=1, base_seconds=0.05, max_seconds=0.5)
"""Who calls a model waits: control's last word on disk is better than many tries."""

T = TypeVar("T")


class Asking:
    """Implements `serving.hosting.source.Control`.

    Args:
        url: of control; may change when a control of our own starts again.
        environments: what is asked for; empty: all.
        key: what is shown to it; read again when it is connected anew.
    """

    def __init__(
        self, url: Callable[[], str], environments: tuple[str, ...] = (), *, key: Callable[[], str] = lambda: ""
    ) -> None:
        self._url = url
        self._key = key
        self._environments = environments
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="control")
        self._own = threading.local()

    async def route(self, address: str, version: str) -> Route:
        """See `Control`."""
        return await self._ask(lambda client: client.route(address, version))

    async def desired(self) -> list[Route]:
        """See `Control`."""
        wanted = self._environments or ("",)
        return [route for each in wanted for route in await self._ask(lambda client, e=each: client.desired(e))]  # type: ignore[misc]

    async def feed(self, after: int, wait: float) -> Feed:
        """See `Control`."""
        return await in_daemon(lambda: self._once(lambda client: client.feed(after, wait)))

    async def report(self, status: NodeStatus) -> None:
        """See `Control`."""
        await self._ask(lambda client: client.report(status))

    async def denied(self, node: str, batch: DeniedBatch, again: str) -> None:
        """Tell control what was denied here; `again` is the same for the same batch."""
        await self._ask(lambda client: client.denied(node, batch, again))

    async def access(self) -> AccessTable:
        """Whom control lets in."""
        return await self._ask(lambda client: client.access())

    def close(self) -> None:
        """Ask nothing any more; what is under way is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, question: Callable[[ControlClient], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._asked, question)
        except RuntimeError as error:  # the executor was shut down
            raise Unavailable("the node stops") from error

    def _asked(self, question: Callable[[ControlClient], T]) -> T:
        with _refusals():
            try:
                return question(self._client())
            except Unauthenticated:
                self._own.url = ""  # the key is read again
                raise

    def _client(self) -> ControlClient:
        """This thread's own, for where control is now."""
        url = self._url()
        client: ControlClient | None = getattr(self._own, "client", None)
        if client is None or self._own.url != url:
            if client is not None:
                client.close()
            client = self._own.client = _connect(url, self._key())
            self._own.url = url
        return client

    def _once(self, question: Callable[[ControlClient], T]) -> T:
        client = _connect(self._url(), self._key())
        try:
            with _refusals():
                return question(client)
        finally:
            client.close()


@contextmanager
def _refusals() -> Iterator[None]:
    """A control that does not let this node in is as good as silent: what was told before goes on being used."""
    try:
        yield
    except (Unauthenticated, PermissionDenied) as error:
        hint = "give this node a key with the role node: SHOAL_CONTROL_KEY, or `control_key_file` in its settings"
        raise Unavailable(f"control does not let this node in: {error.message}", hint=hint) from error


def _connect(url: str, key: str) -> ControlClient:
    if not url:
        raise Unavailable("control is not there yet")
    return ControlClient(url, timeout=SECONDS, retries=RETRIES, actor="node", key=key)


async def in_daemon(work: Callable[[], T]) -> T:
    """Run something that may block for long in a thread that does not outlive the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        outcome: tuple[T | None, BaseException | None]
        try:
            outcome = work(), None
        except ShoalError as error:
            outcome = None, error
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            outcome = None, error
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(tell, *outcome)
            except RuntimeError:  # the loop was closed between the question and the call
                return

    threading.Thread(target=run, name="control feed", daemon=True).start()
    return await future
