"""`Idempotency-Key`: whoever does not get an answer may ask again, and the effect happens once.

The first answer to a key is kept and given again to the same request; the same key with another request is refused. A
repetition that comes while the first is under way waits for it. Failures of ours (5xx) and refusals by a quota (429)
are not kept: they may be tried again. What is kept is bounded in number, size and age, and lives in this process;
beyond its life the registry itself remembers the keys of registrations, and the other mutations name what they expect
to be there.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shoal.control.api.problems import KeyReused
from shoal.core.clock import Clock
from shoal.core.errors import InvalidInput, TooLarge

HEADER = "idempotency-key"
METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
NEVER = ("/v1/keys",)
"""Paths whose answers are told once, and kept nowhere."""
STREAMED = ("/v1/blobs/", "/v1/archives")
"""Paths whose bodies are not JSON; to send them again changes nothing by itself."""
MAX_BODY = 64 * 1024 * 1024

_KEY = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(slots=True)
class _Kept:
    """A request and, once `done`, its answer."""

    fingerprint: bytes
    done: asyncio.Event = field(default_factory=asyncio.Event)
    messages: tuple[Message, ...] = ()
    size: int = 0
    at: float = 0.0


class Replays:
    """An ASGI app around the application.

    Args:
        app: what answers.
        clock: monotonic.
        entries, size, seconds: bounds of what is kept.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        clock: Clock,
        entries: int = 10_000,
        size: int = 32 * 1024 * 1024,
        seconds: float = 86_400.0,
    ) -> None:
        self._app = app
        self._clock = clock
        self._limits = (entries, size, seconds)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._size = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = _key_of(scope)
        if not key or scope["path"] in NEVER:
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        fingerprint = _fingerprint(scope, body)
        while (kept := self._kept.get(key)) is not None:
            if kept.fingerprint != fingerprint:
                raise KeyReused(f"the idempotency key {key!a} belongs to another request", hint="make a new key")
            await kept.done.wait()
            if kept.messages:
                for message in kept.messages:
                    await send(message)
                return
        await self._first(key, fingerprint, scope, body, send)

    async def _first(self, key: str, fingerprint: bytes, scope: Scope, body: bytes, send: Send) -> None:
        kept = self._kept[key] = _Kept(fingerprint)
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append({**message, "headers": list(message["headers"])} if "headers" in message else message)
            await send(message)

        try:
            await self._app(scope, _once(body), keep)
        finally:
            self._finish(key, kept, messages)

    def _finish(self, key: str, kept: _Kept, messages: list[Message]) -> None:
        whole = bool(messages) and not messages[-1].get("more_body", messages[-1]["type"] == "http.response.start")
        if whole and messages[0]["status"] < 500 and messages[0]["status"] != 429:
            kept.messages, kept.at = tuple(messages), self._clock()
            kept.size = sum(len(message.get("body", b"")) for message in messages)
            self._size += kept.size
        else:
            del self._kept[key]
        kept.done.set()
        self._trim()

    def _trim(self) -> None:
        """Forget the oldest answers beyond the bounds; requests under way stay."""
        entries, size, seconds = self._limits
        for key, kept in list(self._kept.items()):
            expired = self._clock() - kept.at > seconds
            if not (expired or len(self._kept) > entries or self._size > size):
                return
            if kept.messages:
                del self._kept[key]
                self._size -= kept.size


def _key_of(scope: Scope) -> str:
    if scope["type"] != "http" or scope["method"] not in METHODS or scope["path"].startswith(STREAMED):
        return ""
    key = Headers(scope=scope).get(HEADER, "")
    if key and not _KEY.fullmatch(key):
        raise InvalidInput("the idempotency key is not 1 to 200 printable characters", field=HEADER)
    caller = scope.get("state", {}).get("caller")
    return f"{caller.principal.id} {key}" if key and caller is not None else key


def _fingerprint(scope: Scope, body: bytes) -> bytes:
    head = b"\0".join((scope["method"].encode(), scope["path"].encode(), scope["query_string"]))
    return hashlib.blake2b(head + b"\0" + body, digest_size=16).digest()


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise TooLarge(f"the body is larger than {MAX_BODY} bytes", hint="send less at once")
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(body)


def _once(body: bytes) -> Receive:
    """A `receive` that gives the body once, and then waits: the caller's going is no matter of the answer."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    return receive
