"""The control process: settings become a running control, and a signal its end.

    home (lock) -> registry, artifact store -> Control -> API on a socket of ours -> announced in the home

The API is served by a thread, so that the same code runs a control of its own (`run_control`) and the one that a
command starts for itself (`control_for`). A stop lets those go who wait for the feed, finishes what was accepted within
the grace, and closes registry and store last.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType

import uvicorn

from shoal.control.api.app import create_app
from shoal.control.api.feed import FeedWatch
from shoal.control.api.prompt import HEAD_BYTES, PromptProtocol
from shoal.control.artifacts.opening import open_store
from shoal.control.artifacts.scratch import Scratch
from shoal.control.control import Control
from shoal.control.following import Following
from shoal.control.home import Home
from shoal.control.home_key import node_key
from shoal.control.registry import open_registry
from shoal.control.security.authenticating import NODE, OwnKey
from shoal.core.clock import monotonic
from shoal.core.errors import ConfigError, InternalError
from shoal.core.settings.control import ControlSettings
from shoal.core.settings.quotas import limits_of
from shoal.core.tls import server_context

logger = logging.getLogger(__name__)

START_SECONDS = 30.0
KEEP_ALIVE_SECONDS = 75
CONNECTIONS = 4096
OWN_WAIT_SECONDS = 60.0
"""How long a command waits for another one that uses the home."""


class ControlServer:
    """The API of a control on a listening socket, answered by a thread.

    Args:
        control: what answers.
        listening: a bound socket; closed at the end.
        grace_seconds: what was accepted is finished within this time.
        own: keys that only this process knows.

    Raises:
        ConfigError: the files of TLS are no good.
    """

    def __init__(
        self, control: Control, listening: socket.socket, grace_seconds: float, own: Sequence[OwnKey] = ()
    ) -> None:
        host, port = listening.getsockname()[:2]
        files = control.settings.tls
        scheme = "http" if files is None else "https"
        self.url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        self.control = control
        self._watch = FeedWatch(control.registry.position, control.settings.waiters)
        self._listening = listening
        self._grace = grace_seconds
        config = uvicorn.Config(
            create_app(control, watch=self._watch, own=own),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            http=PromptProtocol,
            h11_max_incomplete_event_size=HEAD_BYTES,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, int(grace_seconds)),
        )
        config.load()
        config.ssl = None if files is None else server_context(files, ("http/1.1",))
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="control-api", daemon=True)

    @property
    def watch(self) -> FeedWatch:
        """Whom to ring when something was changed that did not come through the API."""
        return self._watch

    def start(self) -> None:
        """Answer from now on; connections that come before wait in the socket's queue.

        Raises:
            InternalError: it has not come up.
        """
        self._thread.start()
        deadline, tick = monotonic() + START_SECONDS, threading.Event()
        while not self._server.started:
            if not self._thread.is_alive() or monotonic() > deadline:
                raise InternalError("the control API has not come up", hint="see its log")
            tick.wait(0.005)

    def stop(self) -> None:
        """Answer no more."""
        self._watch.close()
        self._server.should_exit = True
        self._thread.join(self._grace + 5.0)
        self._listening.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._listening])


@contextmanager
def running(
    settings: ControlSettings, *, wait_seconds: float = 0.0, announced: bool = True, own: Sequence[OwnKey] = ()
) -> Iterator[ControlServer]:
    """A running control, until the end of the `with` block.

    Args:
        settings: of the control.
        wait_seconds: how long to wait for another process to let the home go.
        announced: whether others may find and use it.
        own: keys of those who have started it, besides those of the registry.

    Raises:
        Conflict: another process uses the home.
        ConfigError: the registry, the store or the port cannot be had; the sentence names which.
    """
    with ExitStack() as stack:
        home = stack.enter_context(Home(settings.folder, wait_seconds=wait_seconds))
        if announced:
            own = (*own, OwnKey.of(node_key(settings.folder), NODE))
        listening = stack.enter_context(_listen(settings.host, settings.port))
        control = stack.enter_context(opened(settings))
        server = ControlServer(control, listening, settings.grace_seconds, own)
        server.start()
        stack.callback(server.stop)
        if settings.services is not None:
            stack.enter_context(Following(settings.services, server.control.registry, server.watch.ring))
        if announced:
            home.announce(server.url)
            stack.callback(home.withdraw)
        yield server


@contextmanager
def opened(settings: ControlSettings) -> Iterator[Control]:
    """Registry and store, open, and what works with them."""
    with ExitStack() as stack:
        registry = open_registry(settings.registry_url, limits=limits_of(settings.quotas))
        stack.callback(registry.close)
        blobs = open_store(settings.artifacts_url)
        stack.callback(blobs.close)
        control = Control(registry, blobs, settings)
        Scratch(settings.folder / "tmp").collect()
        yield control


@contextmanager
def control_for(settings: ControlSettings) -> Iterator[tuple[str, str]]:
    """URL and key of a control that serves one command: on a free port, unknown to others.

    Whoever may use the home may do everything with it, so the key may, too: it lives as long as this control.
    """
    text, key = OwnKey.local()
    own = settings.model_copy(update={"port": 0, "host": "127.0.0.1", "services": None, "grace_seconds": 2.0})
    with running(own, wait_seconds=OWN_WAIT_SECONDS, announced=False, own=(key,)) as server:
        yield server.url, text


def run_control(settings: ControlSettings, on_ready: Callable[[str], None]) -> int:
    """Run a control until SIGTERM or SIGINT; a second signal ends it at once.

    Args:
        settings: of the control.
        on_ready: told the URL once it answers.

    Returns:
        The process's exit code.
    """
    with _signals() as wait, running(settings) as server:
        on_ready(server.url)
        reason = wait()
        logger.info("stopping", extra={"reason": reason})
    return 0


@contextmanager
def _signals() -> Iterator[Callable[[], str]]:
    """A function that returns with the name of the first signal to stop."""
    reading, writing = os.pipe()
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if received:
            os._exit(128 + number)
        received.append(number)
        os.write(writing, b"!")

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}

    def wait() -> str:
        os.read(reading, 1)
        return signal.Signals(received[0]).name

    try:
        yield wait
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        hint = "another program may have it; choose another with --port, or 0 for a free one"
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}", hint=hint, field="port") from error
    return listening
