"""An HTTP server that misbehaves on demand: each request is answered by the next of the behaviours it was given.

ok           the body                      status:503    that status
short        half of the body, then EOF    wrong         other bytes of the same length
long         more than was said            reset         the connection is reset
stall        nothing at all, for ever      trickle       half of the body, then nothing, for ever
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ChaosServer(ThreadingHTTPServer):
    """A running server.

    Attributes:
        behaviours: what comes next; the last one stays.
        requests: methods and paths, in the order in which they came.
        body: what a good answer holds.
    """

    daemon_threads = False
    block_on_close = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviours: deque[str] = deque(["ok"])
        self.requests: list[tuple[str, str]] = []
        self.body = body
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def behave(self, *behaviours: str) -> None:
        """What the next requests get."""
        self.behaviours = deque(behaviours)
        self.requests.clear()

    def next_behaviour(self) -> str:
        return self.behaviours.popleft() if len(self.behaviours) > 1 else self.behaviours[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: ChaosServer
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        self.close_connection = True
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.path))
        behaviour, _, argument = self.server.next_behaviour().partition(":")
        getattr(self, behaviour)(argument)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

    def say(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Last-Modified", "Fri, 01 Jan 2027 00:00:00 GMT")
        self.send_header("ETag", '"0"')
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.wfile.flush()

    def ok(self, argument: str) -> None:
        self.say(200, self.server.body)

    def status(self, argument: str) -> None:
        self.say(int(argument), b"<Error><Code>Chaos</Code></Error>")

    def short(self, argument: str) -> None:
        self.say(200, self.server.body[: len(self.server.body) // 2], len(self.server.body))

    def wrong(self, argument: str) -> None:
        self.say(200, bytes(len(self.server.body)))

    def long(self, argument: str) -> None:
        self.say(200, self.server.body + b"more")

    def reset(self, argument: str) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def stall(self, argument: str) -> None:
        self.server.over.wait(30)

    def trickle(self, argument: str) -> None:
        self.short(argument)
        self.server.over.wait(30)

    def chunked(self, argument: str) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        body, size = self.server.body, max(1, len(self.server.body) // 4)
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        for chunk in chunks[:2] if argument else [*chunks, b""]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def log_message(self, format: str, *arguments: Any) -> None:
        """Quiet."""


@contextmanager
def chaos(body: bytes, behaviours: Iterable[str] = ("ok",)) -> Iterator[ChaosServer]:
    """A server that lives as long as the block."""
    server = ChaosServer(body)
    server.behave(*behaviours)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
