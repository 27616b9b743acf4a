"""The head of an HTTP/1.1 request: request line and headers, judged strictly.

llhttp (through `httptools`) parses, in its strict mode. On top of it this module refuses whatever two servers could
read in two ways, which is what request smuggling lives on: bare line feeds, folded lines, repeated or listed
Content-Length, any Transfer-Encoding but ``chunked``, a missing or repeated Host, control characters. `parse_head` is a
pure function of the head's bytes, so it may be memoised.
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType

import httptools
import msgspec

_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n|\n[ \t]")
_REQUEST_LINE = re.compile(rb"[A-Z][A-Z-]* [\x21-\x7e]+ HTTP/([0-9]\.[0-9])\r\n")
_ABSOLUTE = re.compile(rb"https?://[^/?#]+", re.IGNORECASE)
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.%]+\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(?::[0-9]{0,5})?")
_LENGTH = re.compile(rb"[0-9]{1,19}")
_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"host", b"expect", b"content-encoding", b"connection"))


class Refusal(Exception):
    """A request that HTTP itself refuses; the connection is closed after the answer.

    Args:
        status: of the answer.
        code: the stable code of the error.
        message: one sentence.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Head(msgspec.Struct, frozen=True):
    """What a head says.

    Attributes:
        method: such as ``b"POST"``.
        target: path and query as sent; of an absolute target what follows the authority.
        headers: names in lower case, of repeated ones the last. Heads are shared, so they cannot be changed.
        count: number of header lines.
        content_length: bytes of the body, 0 if none is announced.
        chunked: the body is chunked.
        keep_alive: the client allows another request on this connection.
        old: HTTP/1.0, which must be told that its connection stays open.
        expects_continue: the client waits for ``100 Continue``.
        encoding: Content-Encoding, or b"".
        plain: nothing about its answer is special: it has a body, and the connection goes on as usual.
    """

    method: bytes
    target: bytes
    headers: MappingProxyType[bytes, bytes]
    count: int
    content_length: int
    chunked: bool
    keep_alive: bool
    old: bool
    expects_continue: bool
    encoding: bytes
    plain: bool = False


def parse_head(raw: bytes) -> Head:
    """Parse a head, from the first byte to the empty line.

    Raises:
        Refusal: it breaks the grammar, is ambiguous, or asks for what is not offered.
    """
    raw = raw.removeprefix(b"\r\n")  # one empty line before a request is allowed
    line = _REQUEST_LINE.match(raw)
    if line is None or _FORBIDDEN.search(raw):
        raise _invalid("The request line or a header is malformed.")
    old = _is_old(line[1])
    lines = _parse(raw)
    framing = _framing(lines.headers)
    _check_host(framing.get(b"host", []), required=not old)
    chunked = _chunked(framing, old)
    keep_alive = _keep_alive(framing.get(b"connection", []), old)
    return Head(
        method=lines.method,
        target=_origin_form(lines.method, lines.target),
        headers=MappingProxyType(dict(lines.headers)),
        count=len(lines.headers),
        content_length=_content_length(framing.get(b"content-length", [])),
        chunked=chunked,
        keep_alive=keep_alive,
        old=old,
        expects_continue=_expectation(framing.get(b"expect", []), old),
        encoding=b",".join(framing.get(b"content-encoding", [])),
        plain=keep_alive and not old and lines.method != b"HEAD",
    )


parse_head_memoised = lru_cache(maxsize=512)(parse_head)


class _Lines:
    """What llhttp reports."""

    __slots__ = ("headers", "method", "target")

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.target = b""
        self.method = b""

    def on_url(self, target: bytes) -> None:
        self.target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip(b" \t")))


def _parse(raw: bytes) -> _Lines:
    lines = _Lines()
    parser = httptools.HttpRequestParser(lines)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # upgrades are not offered: the request is answered as if it had not asked
    except httptools.HttpParserError as error:
        raise _invalid("The request is malformed.") from error
    lines.method = parser.get_method()
    return lines


def _framing(headers: list[tuple[bytes, bytes]]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in _FRAMING:
            found.setdefault(name, []).append(value)
    return found


def _is_old(version: bytes) -> bool:
    if version not in (b"1.0", b"1.1"):
        raise Refusal(505, "unsupported", "Only HTTP/1.1, HTTP/1.0 and HTTP/2 are spoken here.")
    return version == b"1.0"


def _keep_alive(values: list[bytes], old: bool) -> bool:
    options = {option.strip() for option in b",".join(values).lower().split(b",")}
    return b"close" not in options and (not old or b"keep-alive" in options)


def _check_host(values: list[bytes], *, required: bool) -> None:
    if len(values) > 1 or (required and not values):
        raise _invalid("A request needs exactly one Host header.")
    if values and not _HOST.fullmatch(values[0]):
        raise _invalid("The Host header is malformed.")


def _chunked(framing: dict[bytes, list[bytes]], old: bool) -> bool:
    values = framing.get(b"transfer-encoding")
    if values is None:
        return False
    if b"content-length" in framing:
        raise _invalid("Content-Length and Transfer-Encoding exclude each other.")
    if old or len(values) != 1 or values[0].lower() != b"chunked":
        raise _invalid("The only Transfer-Encoding is chunked, and only in HTTP/1.1.")
    return True


def _content_length(values: list[bytes]) -> int:
    if not values:
        return 0
    if len(values) > 1 or not _LENGTH.fullmatch(values[0]):
        raise _invalid("A request has at most one Content-Length, which is a number.")
    return int(values[0])


def _expectation(values: list[bytes], old: bool) -> bool:
    if not values or old:
        return False
    if len(values) > 1 or values[0].lower() != b"100-continue":
        raise Refusal(417, "unsupported", "The only expectation that can be met is 100-continue.")
    return True


def _origin_form(method: bytes, target: bytes) -> bytes:
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return target
    if method == b"CONNECT":
        raise Refusal(501, "unsupported", "This is not a proxy.")
    authority = _ABSOLUTE.match(target)
    if authority is None:
        raise _invalid("The request target must be a path.")
    rest = target[authority.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def _invalid(message: str) -> Refusal:
    return Refusal(400, "invalid_input", message)
