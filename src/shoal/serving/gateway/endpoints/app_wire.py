"""HTTP/1.1 as spoken with an app's process, without I/O: a request as bytes, an answer from bytes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NoReturn

import httptools

from shoal.core.errors import InvalidInput
from shoal.serving.gateway.exchange import Exchange

MAX_HEADERS = 256

HOP_BY_HOP = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"content-length",
    )
)  # fmt: skip
NOT_SENT = HOP_BY_HOP | {b"expect", b"content-encoding", b"accept-encoding", b"x-forwarded-prefix", b"host"}
"""The body is already complete and inflated, and compressing the answer is our own matter."""


class BadAnswer(Exception):
    """The app does not speak HTTP/1.1, ended too early, or says too much."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An app's answer, without hop-by-hop headers."""

    status: int
    content_type: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


def request_bytes(exchange: Exchange, target: bytes, hidden: Collection[bytes] = ()) -> bytes:
    """The request as it is sent to the app, without the headers that are hidden from it.

    Raises:
        InvalidInput: a header holds a line break or a null.
    """
    mount = exchange.target.partition(b"?")[0].removesuffix(target.partition(b"?")[0])
    lines = [
        b"%b %b HTTP/1.1" % (exchange.method, target),
        b"host: " + (exchange.headers.get(b"host") or exchange.headers.get(b":authority") or b"localhost"),
        b"x-forwarded-prefix: " + mount,
        b"content-length: %d" % len(exchange.body),
    ]
    named = {token.strip().lower() for token in exchange.headers.get(b"connection", b"").split(b",")}
    for name, value in exchange.headers.items():
        if name not in NOT_SENT and name not in named and name not in hidden and name[:1] != b":":
            lines.append(b"%b: %b" % (name, value))
    if any(b"\n" in line or b"\r" in line or b"\0" in line for line in lines):
        raise InvalidInput("a header holds a line break")
    return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(exchange.body)


class AnswerReader:
    """Collects one answer; feed it bytes until `done`.

    Args:
        head_only: the answer to HEAD: it has no body, whatever its headers say.
        limit: bytes of the body.
    """

    def __init__(self, *, head_only: bool, limit: int) -> None:
        self.done = False
        self.keep_alive = False
        self._head_only = head_only
        self._limit = limit
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._in_body = False
        self._problem = ""

    def feed(self, data: bytes) -> None:
        """Take what was read; empty bytes are the end of the connection.

        Raises:
            ConnectionResetError: it ended before the answer began.
            BadAnswer: it is not an answer, or too large.
        """
        if not data:
            self._ended()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.done:
                raise BadAnswer(self._problem or "it is not HTTP/1.1") from error

    def answer(self) -> Answer:
        """The complete answer."""
        content_type = b"application/octet-stream"
        kept: list[tuple[bytes, bytes]] = []
        for name, value in self._headers:
            if name == b"content-type":
                content_type = value
            elif name not in HOP_BY_HOP:
                kept.append((name, value))
        return Answer(self._parser.get_status_code(), content_type, kept, b"".join(self._body))

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._headers.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self._headers) >= MAX_HEADERS:
            self._refuse("it has too many headers")
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_body = self._parser.get_status_code() >= 200
        if self._head_only and self._in_body:
            self.done = True

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            self._refuse(f"it is larger than {self._limit} bytes")
        self._body.append(data)

    def on_message_complete(self) -> None:
        if self._in_body and not self.done:
            self.done = True
            self.keep_alive = self._parser.should_keep_alive()

    def _refuse(self, problem: str) -> NoReturn:
        self._problem = problem  # the parser wraps what its callbacks raise
        raise BadAnswer(problem)

    def _ended(self) -> None:
        if not self._in_body:
            raise ConnectionResetError("the app closed the connection")
        lengths = (b"content-length", b"transfer-encoding")
        if any(name in lengths for name, _ in self._headers):
            raise BadAnswer("it ended too early")
        self.done = True
