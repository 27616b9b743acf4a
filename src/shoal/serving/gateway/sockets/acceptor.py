"""A listening socket that is emptied at once.

uvloop's own server accepts one connection per turn of the loop, so a thousand clients that connect together wait a
thousand turns. This one accepts until nobody waits (up to a bound per turn). Without a free file descriptor it neither
spins nor goes blind: a descriptor held in reserve is given up to take the connection and tell it so, and if even that
fails accepting pauses for a moment.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable

logger = logging.getLogger(__name__)

PER_TURN = 256
_PAUSE_SECONDS = 0.1
_NO_DESCRIPTOR = frozenset((errno.EMFILE, errno.ENFILE))
_NO_MEMORY = frozenset((errno.ENOBUFS, errno.ENOMEM))

OnAccept = Callable[[socket.socket], None]


class Acceptor:
    """Accepts on one socket from `start` to `stop`.

    Args:
        listening: a non-blocking socket that listens; it is owned and closed by this object.
        on_accept: gets each connection, non-blocking.
        on_exhausted: gets a connection for which there is no file descriptor; it must close it before it returns.
    """

    def __init__(self, listening: socket.socket, *, on_accept: OnAccept, on_exhausted: OnAccept) -> None:
        self._listening = listening
        self._on_accept = on_accept
        self._on_exhausted = on_exhausted
        self._loop = asyncio.get_running_loop()
        self._reserve = _reserve()
        self._retry: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._resume()

    def stop(self) -> None:
        """Take whoever has connected already, then close the socket."""
        self._loop.remove_reader(self._listening)
        while self._accept_one(self._on_accept):
            pass
        if self._retry is not None:
            self._retry.cancel()
        self._listening.close()
        self._give_up_reserve()

    def _accept_turn(self) -> None:
        for _ in range(PER_TURN):
            if not self._accept_one(self._on_accept):
                return

    def _accept_one(self, take: OnAccept) -> bool:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            return self._failed(error)
        connection.setblocking(False)
        take(connection)
        return True

    def _failed(self, error: OSError) -> bool:
        """Whether accepting may go on at once."""
        if error.errno in _NO_DESCRIPTOR and self._reserve is not None:
            self._give_up_reserve()
            logger.warning("no file descriptor is left for a connection")
            took = self._accept_one(self._on_exhausted)
            self._reserve = _reserve()
            return took
        if error.errno in _NO_DESCRIPTOR or error.errno in _NO_MEMORY:
            self._pause()
            return False
        return True  # that connection broke before it was accepted

    def _pause(self) -> None:
        if self._retry is None:
            self._loop.remove_reader(self._listening)
            self._retry = self._loop.call_later(_PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        self._retry = None
        if self._reserve is None:
            self._reserve = _reserve()
        self._loop.add_reader(self._listening, self._accept_turn)

    def _give_up_reserve(self) -> None:
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None


def _reserve() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
