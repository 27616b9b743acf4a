"""What stands between two who talk over TCP, and lets through as much as a test wants.

open      all of it                          cut       nothing: connections are reset, those that are open too
stalled   connections, but no further byte   slow      a few kilobytes, ten times a second
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SLOW_BYTES = 4096
TICK = 0.1


class Relay:
    """A running relay.

    Attributes:
        port: where it listens.
        mode: see the module; may be changed at any time.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.port: int = self._listening.getsockname()[1]
        self.mode = "open"

    def start(self) -> None:
        self._begin(self._accept)

    def stop(self) -> None:
        """Close everything."""
        self._over.set()
        for thread in self._threads:
            thread.join(10)
        self._listening.close()

    def _begin(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            if not select.select([self._listening], [], [], TICK)[0]:
                continue
            near, _ = self._listening.accept()
            if self.mode == "cut":
                _reset(near)
                continue
            try:
                far = socket.create_connection(self._target, timeout=5)
            except OSError:
                _reset(near)
                continue
            self._begin(self._carry, near, far)

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        with suppress(OSError), far:
            while not self._over.is_set() and self.mode != "cut":
                if self.mode == "stalled":
                    self._over.wait(TICK)
                    continue
                for one in select.select([near, far], [], [], TICK)[0]:
                    data = one.recv(SLOW_BYTES if self.mode == "slow" else 65536)
                    if not data:
                        near.close()
                        return
                    other[one].sendall(data)
                if self.mode == "slow":
                    self._over.wait(TICK)
        _reset(near)


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def relay(host: str, port: int) -> Iterator[Relay]:
    """A relay to there, which lives as long as the block."""
    made = Relay((host, port))
    made.start()
    try:
        yield made
    finally:
        made.stop()
