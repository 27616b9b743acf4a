"""A connection to an address that was checked; all its waiting ends at one moment.

`http.client` would resolve a name once more, and give each read its own time. So the socket is connected here, and the
file that the answer is read from sets what is left of the time before each read.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
from collections.abc import Callable
from typing import Any

from shoal.core.clock import Clock
from shoal.core.errors import DeadlineExceeded
from shoal.core.outgoing.addresses import Address
from shoal.core.outgoing.urls import Target

Connect = Callable[[Address, int, float], socket.socket]
"""Opens a TCP connection to an address and port within some seconds."""


class Timer:
    """The time of one fetch.

    Args:
        seconds: from now on.
        clock: monotonic seconds.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._clock = clock
        self._seconds = seconds
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds, above 0.

        Raises:
            DeadlineExceeded: there are none.
        """
        left = self._end - self._clock()
        if left <= 0:
            raise DeadlineExceeded(f"nothing complete came within {self._seconds:g} seconds", field="url")
        return left


def connect(address: Address, port: int, seconds: float) -> socket.socket:
    """See `Connect`."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect((str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock


class Pinned(http.client.HTTPConnection):
    """A connection that is there already; TLS, if any, is for the name of the target.

    Args:
        sock: connected; this owns it from now on.
        timer: ends all that waits.
        context: for ``https``.
    """

    def __init__(self, target: Target, sock: socket.socket, timer: Timer, context: ssl.SSLContext | None) -> None:
        super().__init__(target.host, target.port)
        try:
            if target.scheme == "https":
                sock.settimeout(timer.left())
                sock = (context or ssl.create_default_context()).wrap_socket(sock, server_hostname=target.host)
        except BaseException:
            sock.close()
            raise
        self._socket = sock
        self.sock: Any = _Timed(sock, timer)

    def end(self) -> None:
        """Close it. `close` does not: `http.client` calls it as soon as an answer's head is there, before its body."""
        self.close()
        self._socket.close()

    def connect(self) -> None:
        raise http.client.NotConnected  # never again: a second connection would go to who knows where


class _Timed:
    """As much of a socket as `http.client` uses."""

    def __init__(self, sock: socket.socket, timer: Timer) -> None:
        self._sock = sock
        self._timer = timer

    def sendall(self, data: Any) -> None:
        self._sock.settimeout(self._timer.left())
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._timer), 65536)

    def close(self) -> None:
        """See `Pinned.end`."""


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, timer: Timer) -> None:
        self._sock = sock
        self._timer = timer

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._timer.left())
        return self._sock.recv_into(buffer)


def is_own(address: Address) -> bool:
    """Whether the address is one of this machine's: only those can be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((str(address), 0))
        return True
    return False
