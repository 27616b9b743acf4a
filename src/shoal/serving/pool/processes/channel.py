"""The parent's end of a worker's socket: messages out, messages in, and the end.

Knows frames and messages, nothing of what they mean. A peer that does not speak them, or that hangs up, is reported
once by `on_end`; everything it had said before is delivered first.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from typing import cast

import msgspec

from shoal.core.call import Call
from shoal.core.ipc import frames, messages

logger = logging.getLogger(__name__)

SOCKET_BUFFER = 4 * 1024 * 1024
"""Bytes asked of the kernel per direction, so that a batch of images goes out without waking up many times."""
JOIN_BELOW = 64 * 1024
"""Bytes of a batch below which its bodies are joined: one write of one buffer is cheaper than many of small ones."""

OnMessage = Callable[[messages.FromWorker, "bytes | bytearray"], None]


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """The two ends of a channel: the parent's (non-blocking) and the worker's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setblocking(False)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
    return ours, theirs


class Channel(asyncio.Protocol):
    """See the module.

    Args:
        on_message: given each message and its payload.
        on_end: called once with a label when nothing more will come: ``eof`` or ``protocol``.
    """

    def __init__(self, on_message: OnMessage, on_end: Callable[[str], None]) -> None:
        self._on_message = on_message
        self._on_end = on_end
        self._reader = frames.FrameReader()
        self._transport: asyncio.Transport | None = None
        self._broken = False
        self.ended = False

    async def open(self, ours: socket.socket) -> None:
        """Take over the parent's end."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's transports do not derive from it
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._broken:
            return
        try:
            for header, payload in self._reader.feed(data):
                self._on_message(messages.decode_from_worker(header), payload)
        except (frames.BrokenFrame, msgspec.DecodeError, UnicodeDecodeError) as error:
            logger.error("worker broke the protocol: %s", error)
            self._broken = True
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended:
            self.ended = True
            self._on_end("protocol" if self._broken else "eof")

    def send(self, message: messages.ToWorker) -> None:
        """Send a message that has no payload."""
        self._write(frames.prefix(messages.encode(message), 0), (), 0)

    def send_batch(self, number: int, model: int, calls: list[Call], max_size: int) -> None:
        """Send the bodies of these calls as one batch."""
        bodies = [call.body for call in calls]
        lengths = [len(body) for body in bodies]
        batch = messages.Batch(
            number,
            model,
            max_size,
            bytes([call.format for call in calls]),
            lengths,
            [call.json_length for call in calls],
            [call.deadline for call in calls],
        )
        total = sum(lengths)
        self._write(frames.prefix(messages.encode(batch), total), bodies, total)

    def _write(self, start: bytes, bodies: Iterable[bytes | bytearray | memoryview], total: int) -> None:
        if self._transport is None or self._transport.is_closing():
            return  # `on_end` tells of it, or has told
        if total < JOIN_BELOW:
            self._transport.write(b"".join((start, *bodies)))
        else:
            self._transport.writelines((start, *bodies))

    def close(self) -> None:
        """Hang up; a worker takes that as the order to exit."""
        if self._transport is not None:
            self._transport.abort()
