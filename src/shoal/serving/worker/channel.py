"""The worker's end of its socket: blocking reads of frames, and writes of many parts without joining them.

Small frames are cut out of one read; a large payload goes into one buffer that is used again and again, as long as
nobody holds on to a view of it (an adapter may keep its input: then it keeps that buffer). One thread reads; several
may write.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterable, Sequence

from shoal.core.ipc import frames
from shoal.core.wire.raw_data import Buffer

READ = 64 * 1024
"""Bytes of one read; a payload that does not fit is received into the large buffer."""
KEEP = 64 * 1024 * 1024
"""A larger buffer is not kept."""
_MOST_PARTS = 512
_JOIN = 64 * 1024


class Closed(Exception):
    """The parent has closed its end."""


class Channel:
    """Frames over a connected, blocking stream socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._writing = threading.Lock()
        self._pending = b""
        self._large = bytearray()

    def is_quiet(self, seconds: float) -> bool:
        """Whether nothing has come, nor comes within so many seconds."""
        if self._pending:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(seconds * 1000)

    def read(self) -> tuple[bytes, Buffer]:
        """The next frame's header and payload; the payload is valid until the next read.

        Raises:
            Closed: there is no next frame.
            BrokenFrame: the parent does not speak frames.
        """
        size = frames.PREFIX.size
        self._fill(size)
        header_length, payload_length = frames.PREFIX.unpack_from(self._pending)
        if header_length > frames.MAX_HEADER:
            raise frames.BrokenFrame(f"a header of {header_length} bytes")
        body = size + header_length
        self._fill(body)
        header = self._pending[size:body]
        if body + payload_length <= max(READ, len(self._pending)):
            self._fill(body + payload_length)
            payload: Buffer = self._pending[body : body + payload_length]
            self._pending = self._pending[body + payload_length :]
            return header, payload
        return header, self._read_large(body, payload_length)

    def _fill(self, count: int) -> None:
        """Have at least so many bytes at hand."""
        if len(self._pending) >= count:
            return
        chunks = [self._pending]
        have = len(self._pending)
        while have < count:
            chunk = self._socket.recv(READ)
            if not chunk:
                raise Closed
            chunks.append(chunk)
            have += len(chunk)
        self._pending = chunks[1] if len(chunks) == 2 and not chunks[0] else b"".join(chunks)

    def _read_large(self, start: int, length: int) -> memoryview:
        view = memoryview(self._buffer(length))[:length]
        have = len(self._pending) - start
        view[:have] = self._pending[start:]
        self._pending = b""
        while have < length:
            count = self._socket.recv_into(view[have:])
            if not count:
                raise Closed
            have += count
        return view

    def _buffer(self, length: int) -> bytearray:
        """A buffer of at least that length which nobody looks at."""
        if length > KEEP:
            return bytearray(length)
        if len(self._large) < length or _is_viewed(self._large):
            self._large = bytearray(length)
        return self._large

    def write(self, header: bytes, parts: Sequence[Buffer]) -> None:
        """Send one frame.

        Raises:
            Closed: the parent has gone.
        """
        length = sum(map(len, parts))
        start = frames.prefix(header, length)
        try:
            with self._writing:
                if length <= _JOIN:
                    self._socket.sendall(b"".join((start, *parts)))
                else:
                    self._send_parts([start, *parts])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def _send_parts(self, parts: Iterable[Buffer]) -> None:
        todo = [memoryview(part) for part in parts if len(part)]
        todo.reverse()
        while todo:
            sent = self._socket.sendmsg(todo[: -_MOST_PARTS - 1 : -1])
            while sent:
                part = todo.pop()
                if sent < len(part):
                    todo.append(part[sent:])
                    break
                sent -= len(part)


def _is_viewed(buffer: bytearray) -> bool:
    """Whether someone holds a view: a buffer that is exported cannot be resized."""
    try:
        buffer.append(0)
    except BufferError:
        return True
    buffer.pop()
    return False
