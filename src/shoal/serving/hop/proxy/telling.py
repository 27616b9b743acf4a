"""What a proxy tells a gateway of its models, each question by its word.

describe    a `Description`                              statistics  V2 statistics, a list of objects
refresh     for each `Known` its `Facts` in bytes,       why         `core.ports.Models.explain`, an object
            b"" if they are the same, None if it is      load        nothing; the payload is the `config`, if any
            gone                                         unload      nothing
list        `Facts` of all versions, up to the limit
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from shoal.core.errors import NotFound
from shoal.core.model import ModelSpec
from shoal.core.ports import ModelHandle, Models
from shoal.serving.hop import messages
from shoal.serving.hop.messages import Ask, Description, Facts

Payload = bytes | bytearray


class Telling:
    """Answers what gateways ask of these models."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._answers: dict[str, Callable[[Ask, Payload], Awaitable[bytes]]] = {
            "describe": self._describe,
            "refresh": self._refresh,
            "list": self._list,
            "statistics": self._statistics,
            "why": self._why,
            "load": self._load,
            "unload": self._unload,
        }

    async def answer(self, ask: Ask, payload: Payload) -> bytes:
        """The payload of the answer.

        Raises:
            ShoalError: the answer is an error.
            DecodeError: the payload is not what it should be.
        """
        return await self._answers[ask.what](ask, payload)

    async def handle(self, name: str, version: str) -> ModelHandle:
        """A model, looked for elsewhere if need be.

        Raises:
            NotFound: nobody knows it.
            Unavailable: who would know does not answer.
        """
        try:
            return self._models.find(name, version)
        except NotFound:
            if not self._models.discoverable(name, version):
                raise
        await self._models.discover(name, version)
        return self._models.find(name, version)

    async def _describe(self, ask: Ask, payload: Payload) -> bytes:
        wanted = await self.handle(ask.name, ask.version)
        versions = self._models.versions(ask.name)
        explained = self._models.explain(ask.name, ask.version)
        facts = [facts_of(each) for each in versions]
        return messages.encode(Description(facts_of(wanted), facts, _counts(versions), explained))

    async def _refresh(self, ask: Ask, payload: Payload) -> bytes:
        return messages.encode([self._news(known) for known in messages.decode_known(payload)])

    def _news(self, known: messages.Known) -> bytes | None:
        try:
            facts = messages.encode(facts_of(self._models.find(known.name, known.version)))
        except NotFound:
            return None
        return b"" if mark_of(facts) == known.mark else facts

    async def _list(self, ask: Ask, payload: Payload) -> bytes:
        return messages.encode([facts_of(each) for each in itertools.islice(self._models.all(), ask.limit)])

    async def _statistics(self, ask: Ask, payload: Payload) -> bytes:
        if not ask.name:
            handles = list(itertools.islice(self._models.all(), ask.limit))
        elif ask.version:
            handles = [self._models.find(ask.name, ask.version)]
        else:
            handles = list(self._models.versions(ask.name))
        return messages.encode(_counts(handles))

    async def _why(self, ask: Ask, payload: Payload) -> bytes:
        await self.handle(ask.name, ask.version)
        return messages.encode(self._models.explain(ask.name, ask.version))

    async def _load(self, ask: Ask, payload: Payload) -> bytes:
        await self._models.load(ask.name, payload.decode() if payload else None)
        return b""

    async def _unload(self, ask: Ask, payload: Payload) -> bytes:
        await self._models.unload(ask.name)
        return b""


def _counts(handles: Iterable[ModelHandle]) -> list[dict[str, object]]:
    return [{**each.statistics(), "name": each.spec.name, "version": each.spec.version} for each in handles]


def facts_of(handle: ModelHandle) -> Facts:
    """What is told of a version."""
    return Facts(
        outward(handle.spec),
        handle.state,
        handle.reason,
        handle.signature,
        handle.batchable,
        handle.batch_reason,
        handle.platform,
        handle.example,
    )


def outward(spec: ModelSpec) -> ModelSpec:
    """A spec without what only workers need, and what nobody else should know."""
    return msgspec.structs.replace(
        spec, path="", implementation="", parameters={}, warmup=(), environment={}, python="", trust=""
    )


def mark_of(facts: bytes) -> int:
    """Tells whether facts have changed."""
    return zlib.crc32(facts)
