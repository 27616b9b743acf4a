"""The floor: how fast the idea is with nothing around it. No limits, no errors, no metrics, no deadlines.

`python reference_plane.py PORT MODEL LIMIT` serves one model on one port, HTTP/1.1 and gRPC told apart by their first
bytes, over one worker process (`reference_worker.py`). Requests go to the worker as opaque bodies; a batch leaves as
soon as fewer than two are with the worker, with what has gathered by then, up to LIMIT requests. It believes all that
clients say. What Shoal loses against it is the price of everything that makes a server.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import cast

import hpack
import httptools
import msgspec
import uvloop

IN_FLIGHT = 2
PREFACE = 24
HEADERS, DATA, SETTINGS, PING, WINDOW_UPDATE = 1, 0, 4, 6, 8
Answer = Callable[[bytes], None]


class Batcher(asyncio.Protocol):
    """Collects bodies while the worker is busy, and hands its answers back in order."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[tuple[bytes, Answer]] = deque()
        self._sent: deque[list[Answer]] = deque()
        self._buffer = bytearray()
        self._scheduled = False
        self._loop = asyncio.get_running_loop()
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[bytes]).decode

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._worker = cast(asyncio.Transport, transport)

    def submit(self, body: bytes, answer: Answer) -> None:
        self._waiting.append((body, answer))
        if not self._scheduled and len(self._sent) < IN_FLIGHT:
            self._scheduled = True  # at the end of this turn, so that all that came with it goes together
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._sent) < IN_FLIGHT:
            batch = [self._waiting.popleft() for _ in range(min(self._limit, len(self._waiting)))]
            self._sent.append([answer for _, answer in batch])
            frame = self._encode([body for body, _ in batch])
            self._worker.write(len(frame).to_bytes(4, "little") + frame)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 4 and len(buffer) >= (end := 4 + int.from_bytes(buffer[:4], "little")):
            bodies = self._decode(bytes(buffer[4:end]))
            del buffer[:end]
            for answer, body in zip(self._sent.popleft(), bodies, strict=True):
                answer(body)
            self._flush()


class Http1:
    """One HTTP/1.1 connection."""

    def __init__(self, transport: asyncio.Transport, batcher: Batcher) -> None:
        self._transport, self._batcher = transport, batcher
        self._parts: list[bytes] = []
        self.feed = httptools.HttpRequestParser(self).feed_data

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)

    def on_message_complete(self) -> None:
        body = b"J" + b"".join(self._parts)
        self._parts.clear()
        self._batcher.submit(body, self._answer)

    def _answer(self, body: bytes) -> None:
        if self._transport.is_closing():
            return
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        self._transport.write(head + body)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One HTTP/2 frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header field that enters no table, so that its bytes are the same on every connection."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


OK_HEADERS = b"\x88" + literal(b"content-type", b"application/grpc")
OK_TRAILERS = literal(b"grpc-status", b"0")
GREETING = frame(SETTINGS, 0, 0, b"\0\4" + (1 << 24).to_bytes(4, "big") + b"\0\3" + (1000).to_bytes(4, "big"))
GREETING += frame(WINDOW_UPDATE, 0, 0, (1 << 30).to_bytes(4, "big"))


class Http2:
    """One HTTP/2 connection that carries gRPC. Header blocks that changed no table are remembered as they are."""

    def __init__(self, transport: asyncio.Transport, batcher: Batcher) -> None:
        self._transport, self._batcher = transport, batcher
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._begun = False
        self._hpack = hpack.Decoder()
        self._known: dict[bytes, object] = {}
        self._streams: dict[int, list[bytes]] = {}
        self._unacknowledged = 0
        self._out: list[bytes] = [GREETING]
        self._flush()

    def feed(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        at = 0
        if not self._begun:
            if len(buffer) < PREFACE:
                return
            at, self._begun = PREFACE, True
        size = len(buffer)
        while size - at >= 9:
            length = buffer[at] << 16 | buffer[at + 1] << 8 | buffer[at + 2]
            if size - at < 9 + length:
                break
            stream = int.from_bytes(buffer[at + 5 : at + 9], "big")
            self._frame(buffer[at + 3], buffer[at + 4], stream, bytes(buffer[at + 9 : at + 9 + length]))
            at += 9 + length
        del buffer[:at]
        if self._unacknowledged > 1 << 20:
            self._emit(frame(WINDOW_UPDATE, 0, 0, self._unacknowledged.to_bytes(4, "big")))
            self._unacknowledged = 0

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS:
            if payload not in self._known:
                self._learn(payload)
            self._streams[stream] = []
        elif kind == DATA:
            self._streams[stream].append(payload)
            self._unacknowledged += len(payload)
            if flags & 1:
                self._submit(stream, b"".join(self._streams.pop(stream)))
        elif kind in (SETTINGS, PING) and not flags & 1:
            self._emit(frame(kind, 1, 0, payload if kind == PING else b""))

    def _learn(self, block: bytes) -> None:
        before = len(self._hpack.header_table.dynamic_entries)
        headers = self._hpack.decode(block)
        if len(self._hpack.header_table.dynamic_entries) == before:
            self._known[block] = headers
        else:
            self._known.clear()

    def _submit(self, stream: int, message: bytes) -> None:
        self._batcher.submit(b"P" + message[5:], lambda answer: self._answer(stream, answer))

    def _answer(self, stream: int, body: bytes) -> None:
        message = b"\0" + len(body).to_bytes(4, "big") + body
        head, tail = frame(HEADERS, 4, stream, OK_HEADERS), frame(HEADERS, 5, stream, OK_TRAILERS)
        self._emit(head + frame(DATA, 0, stream, message) + tail)

    def _emit(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)  # all answers of a turn leave in one write
        self._out.append(data)

    def _flush(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"".join(self._out))
        self._out.clear()


class Front(asyncio.Protocol):
    """Finds out which protocol a connection speaks."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher
        self._speaker: Http1 | Http2 | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._speaker is None:
            kind = Http2 if data.startswith(b"PRI") else Http1
            self._speaker = kind(self._transport, self._batcher)
        self._speaker.feed(data)


async def serve(port: int, model: str, limit: int) -> None:
    """Serves until the process is ended."""
    ours, theirs = socket.socketpair()
    program = Path(__file__).with_name("reference_worker.py")
    command = [sys.executable, str(program), str(theirs.fileno()), model]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()]), contextlib.closing(ours):  # noqa: ASYNC220
        theirs.close()
        loop = asyncio.get_running_loop()
        batcher = Batcher(limit)
        await loop.create_unix_connection(lambda: batcher, sock=ours)
        server = await loop.create_server(lambda: Front(batcher), "127.0.0.1", port, backlog=1024)
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
