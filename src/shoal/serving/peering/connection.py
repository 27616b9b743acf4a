"""One end of a connection between two of our processes: messages in, messages out, and the end.

All messages of one turn of the loop go out in one write. A peer that does not speak our messages, or whose frames are
too large, is hung up on; everything it had said before is delivered first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, cast

import msgspec

from shoal.core.ipc import frames
from shoal.serving.peering.course import WrongStage

logger = logging.getLogger(__name__)

JOIN_BELOW = 64 * 1024
"""Bytes below which the parts of a write are joined: one buffer is cheaper than many small ones."""
MAX_HEADER = 1024 * 1024
"""Bytes of a header: an error's text is the longest thing in one."""

Body = bytes | bytearray | memoryview

encode = msgspec.msgpack.Encoder().encode


class ProtocolError(Exception):
    """The peer has said something that it may not say now."""


class Connection(asyncio.Protocol):
    """See the module.

    Args:
        decode: turns a header into a message.
        on_message: given each message and its payload; may raise `ProtocolError`.
        on_end: called once when nothing more will come, with why.
        frame_bytes: of a payload.
        buffer_bytes: that may wait to be written before `full` is set.
        max_header: bytes of a header.

    Attributes:
        full: the peer does not read fast enough.
        received: bytes, ever.
        on_open: called when the connection is made.
        on_full: called when `full` has changed.
    """

    def __init__(
        self,
        decode: Callable[[bytes], Any],
        on_message: Callable[[Any, bytes | bytearray], None],
        on_end: Callable[[str], None],
        *,
        frame_bytes: int,
        buffer_bytes: int,
        max_header: int = MAX_HEADER,
    ) -> None:
        self._decode = decode
        self._on_message = on_message
        self._on_end = on_end
        self._reader = frames.FrameReader(max_header=max_header, max_payload=frame_bytes)
        self._buffer_bytes = buffer_bytes
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._out: list[Body] = []
        self._out_bytes = 0
        self._why = ""
        self.received = 0
        self.ended = self.full = False
        self.on_open: Callable[[], None] = lambda: None
        self.on_full: Callable[[], None] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not derive from it
        if self._why:
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=self._buffer_bytes)
        self.on_open()

    def data_received(self, data: bytes) -> None:
        if self._why:
            return
        self.received += len(data)
        try:
            for header, payload in self._reader.feed(data):
                self._on_message(self._decode(header), payload)
                if self._why:
                    return
        except (frames.BrokenFrame, msgspec.DecodeError, UnicodeDecodeError, ProtocolError, WrongStage) as error:
            self.close(f"it broke the protocol: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended:
            self.ended = True
            self._out.clear()
            self._on_end(self._why or (f"it broke: {exc}" if exc else "it was closed by the other end"))

    def pause_writing(self) -> None:
        self.full = True
        self.on_full()

    def resume_writing(self) -> None:
        self.full = False
        self.on_full()

    def fact(self, name: str) -> Any:
        """What the transport knows of the connection, such as its ``socket``."""
        return self._transport.get_extra_info(name) if self._transport is not None else None

    def pause_reading(self) -> None:
        """Take no more from the peer for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def send(self, message: msgspec.Struct, body: Body = b"") -> None:
        """Send a message at the end of this turn of the loop; nothing happens if the connection has ended."""
        if self.ended or self._why:
            return
        start = frames.prefix(encode(message), len(body))
        if not self._out:
            self._loop.call_soon(self.flush)
        self._out.append(start)
        self._out_bytes += len(start)
        if body:
            self._out.append(body)
            self._out_bytes += len(body)

    def send_parts(self, message: msgspec.Struct, parts: Iterable[Body], size: int) -> None:
        """As `send`, with a body of so many bytes that is in parts; none of them is empty."""
        if self.ended or self._why:
            return
        start = frames.prefix(encode(message), size)
        if not self._out:
            self._loop.call_soon(self.flush)
        self._out.append(start)
        self._out.extend(parts)
        self._out_bytes += len(start) + size

    def flush(self) -> None:
        """Write what was sent so far."""
        out, self._out = self._out, []
        size, self._out_bytes = self._out_bytes, 0
        if not out or self._transport is None or self._transport.is_closing():
            return
        if len(out) == 1:
            self._transport.write(out[0])
        elif size < JOIN_BELOW:
            self._transport.write(b"".join(out))
        else:
            self._transport.writelines(out)

    def close(self, why: str, *, politely: bool = False) -> None:
        """Hang up; `politely`: write what was sent before.

        `on_end` is called later, not from here.
        """
        if self._why or self.ended:
            return
        if politely:
            self.flush()
        self._why = why
        if self._transport is None:
            return
        if politely:
            self._transport.close()
        else:
            self._transport.abort()

    def abort(self) -> None:
        """Hang up now, whatever `close` still had to write."""
        if self._transport is not None:
            self._transport.abort()
