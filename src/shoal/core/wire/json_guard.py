"""What JSON must not be, wherever it comes from: too deep, with a key twice, or not JSON.

msgspec is typed and refuses NaN, infinities and numbers without end, but keeps the last of two equal keys without a
word and skips what it is not asked for at any depth. `scan` finds both in text. It is exact and slow (about 0.1 us per
token), so decoders first compare `colons` with what they have decoded: as many colons as known keys means that no key
came twice and that nothing was skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from shoal.core.errors import InvalidInput, TooLarge

MAX_DEPTH = 100
"""Arrays and objects in each other, in any JSON that we accept."""

MAX_TOKENS = 1_000_000
"""Tokens that `scan` looks at before it gives up; a body of numbers and text never needs it."""

T = TypeVar("T")

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"(?:[ \t\r\n]*+:)?|[\[\]{}]', re.DOTALL)
_AT = re.compile(r"^(.*?)(?: - at `\$\.?(.*?)`)?$", re.DOTALL)
_OPENING, _CLOSING, _OBJECT = b"[{", b"]}", b"{"


def parse(decode: Callable[[bytes | memoryview], T], text: bytes | memoryview, *, at: str = "") -> T:
    """Decode with msgspec and say what is wrong in our words.

    Args:
        decode: a typed `msgspec.json.Decoder.decode`.
        text: the JSON.
        at: path of `text` inside the whole request, put before the paths of errors.

    Raises:
        InvalidInput: malformed, too deep, or of other types than asked for; `field` says where.
    """
    try:
        return decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explain(error, at) from error


def explain(error: Exception, at: str = "") -> InvalidInput:
    """What msgspec says, as an `InvalidInput` with the path of the field."""
    if isinstance(error, RecursionError):
        return too_deep(at)
    if isinstance(error, UnicodeDecodeError):
        return InvalidInput("the JSON is not UTF-8", field=at)
    if not isinstance(error, msgspec.ValidationError):
        return InvalidInput(f"not valid JSON: {str(error).removeprefix('JSON is malformed: ')}", field=at)
    match = _AT.match(str(error))
    sentence, path = match.groups(default="") if match else (str(error), "")
    joined = at + path if not at or not path or path.startswith("[") else f"{at}.{path}"
    return InvalidInput(sentence[:1].lower() + sentence[1:].replace("`", "'"), field=joined)


def too_deep(at: str = "") -> InvalidInput:
    return InvalidInput(f"the JSON is more than {MAX_DEPTH} levels deep", field=at)


def scan(text: bytes | memoryview, *, at: str = "") -> None:
    """Refuse JSON that is too deep, has a key twice in one object, or is not UTF-8 where msgspec has skipped it.

    The text must be well-formed otherwise.

    Raises:
        InvalidInput: it is.
        TooLarge: more than `MAX_TOKENS` names, strings, arrays and objects.
    """
    try:
        str(text, "utf-8")
    except UnicodeDecodeError as error:
        raise explain(error, at) from error
    stack: list[set[bytes] | None] = []
    for count, match in enumerate(_TOKENS.finditer(text)):
        token = match.group()
        if token in _OPENING:
            stack.append(set() if token == _OBJECT else None)
            if len(stack) > MAX_DEPTH:
                raise too_deep(at)
        elif token in _CLOSING:
            if stack:
                stack.pop()
        elif token.endswith(b":") and stack:
            _check_key(stack[-1], token[:-1].rstrip(), at)
        if count > MAX_TOKENS:
            raise TooLarge(f"the JSON has more than {MAX_TOKENS} parts", field=at)


def _check_key(keys: set[bytes] | None, token: bytes, at: str) -> None:
    key = msgspec.json.decode(token, type=str).encode() if b"\\" in token else token[1:-1]
    if keys is None:
        return
    if key in keys:
        name = key.decode(errors="replace")
        raise InvalidInput(f"the key {name[:80]!r} is there twice", field=f"{at}.{name[:80]}".lstrip("."))
    keys.add(key)


def check_size(text: bytes | memoryview, *, at: str = "") -> None:
    """Refuse JSON that could become very many small lists or objects, each far larger in memory than in text.

    Raises:
        TooLarge: more than `MAX_TOKENS` opening brackets.
    """
    if len(text) > MAX_TOKENS:
        copy = bytes(text)
        if copy.count(b"[") + copy.count(b"{") > MAX_TOKENS:
            raise TooLarge(f"the JSON has more than {MAX_TOKENS} arrays and objects", field=at)


def check(decode: Callable[[bytes | memoryview], T], text: bytes | memoryview) -> T:
    """`parse` and `scan`: for the small JSON of any endpoint.

    Raises:
        InvalidInput: malformed, too deep, a key twice, or of other types than asked for.
    """
    value = parse(decode, text)
    scan(text)
    return value
