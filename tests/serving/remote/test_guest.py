"""Who may connect to a host, and what becomes of those who do not speak its language."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.core.errors import ConfigError
from shoal.core.ipc import frames
from shoal.core.metrics import Metrics
from shoal.core.model import ModelSpec
from shoal.serving.peering.connection import ProtocolError
from shoal.serving.remote import WorkerHost, messages
from shoal.serving.remote.host.guest import _calls
from shoal.serving.remote.marks import mark_of
from shoal.serving.remote.messages import Hello, Lost, Open, Opened, Refused, Run, State, Wanted, Welcome
from support.remote_world import OneModel, Workers, remote_world

SPEC = ModelSpec(name="m", path="", runtime="python", digest="d")


class Raw:
    """A connection that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = frames.FrameReader()
        self.heard: list[messages.FromHost] = []

    @classmethod
    async def connect(cls, path: Path) -> Raw:
        return cls(*await asyncio.open_unix_connection(path))

    def say(self, message: msgspec.Struct, body: bytes = b"") -> None:
        self._writer.write(frames.prefix(messages.encode(message), len(body)) + body)

    async def rest(self) -> list[messages.FromHost]:
        """Everything that comes until the host hangs up."""
        try:
            async with asyncio.timeout(20):
                while data := await self._reader.read(65536):
                    self._take(data)
        except ConnectionError:
            pass
        self.close()
        return self.heard

    async def until(self, kind: type) -> messages.FromHost:
        async with asyncio.timeout(20):
            while not any(isinstance(each, kind) for each in self.heard):
                self._take(await self._reader.read(65536))
        return next(each for each in self.heard if isinstance(each, kind))

    def _take(self, data: bytes) -> None:
        self.heard += [messages.decode_from_host(header) for header, _ in self._frames.feed(data)]

    def close(self) -> None:
        self._writer.close()


def batch(model: int = 1, lengths: tuple[int, ...] = (1,), **fields: object) -> Run:
    columns = {
        "formats": bytes([4] * len(lengths)),
        "json_lengths": [-1] * len(lengths),
        "seconds": [9.0] * len(lengths),
    }
    said = {
        "id": 7,
        "model": model,
        "rows": 1,
        "max_size": 4,
        "aside": False,
        "lengths": list(lengths),
        **columns,
        **fields,
    }
    return Run(**said)  # type: ignore[arg-type]


def test_a_process_of_another_user_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        host = WorkerHost(OneModel(SPEC), lambda found: Workers(), name="h", metrics=Metrics(), uids=[os.geteuid() + 1])
        await host.listen_unix(tmp_path / "h.sock")
        raw = await Raw.connect(tmp_path / "h.sock")
        raw.say(Hello(messages.PROTOCOL))
        assert await raw.rest() == []
        await host.close()

    asyncio.run(test())


def test_tcp_without_certificates_is_not_offered() -> None:
    async def test() -> None:
        host = WorkerHost(OneModel(SPEC), lambda found: Workers(), name="h", metrics=Metrics())
        with pytest.raises(ConfigError, match="show a certificate"):
            await host.listen_tcp("127.0.0.1", 0, None)
        await host.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    "said",
    [
        [batch()],
        [Open(1, Wanted("m", "", "x"))],
        [Hello(messages.PROTOCOL), batch(), batch(lengths=(2,))],
    ],
    ids=["no greeting before a batch", "no greeting before a model", "fine, and then a body that is too short"],
)
def test_who_breaks_the_protocol_is_hung_up_on(said: list[msgspec.Struct]) -> None:
    async def test() -> None:
        async with remote_world() as w:
            raw = await Raw.connect(w.hosts[0].path)
            for each in said:
                raw.say(each, b"x" if isinstance(each, Run) else b"")
            if isinstance(said[0], Hello):
                await raw.until(Lost)
                raw.say(Open(1, Wanted("m", "", mark_of(SPEC))))
                await raw.until(Opened)
                raw.say(batch(lengths=(2,)), b"x")
            await raw.rest()
            assert await w.proxy.ask("others") == ["others"]

    asyncio.run(test())


def test_another_version_of_the_protocol_is_told_so() -> None:
    async def test() -> None:
        async with remote_world(start=False) as w:
            raw = await Raw.connect(w.hosts[0].path)
            raw.say(Hello(messages.PROTOCOL + 1))
            assert await raw.rest() == [Welcome(messages.PROTOCOL, "h0")]

    asyncio.run(test())


def test_what_is_not_here_or_is_something_else_is_refused_with_a_sentence() -> None:
    async def test() -> None:
        async with remote_world(start=False) as w:
            for wanted, code in ((Wanted("n", "", "x"), "not_found"), (Wanted("m", "", "x"), "conflict")):
                raw = await Raw.connect(w.hosts[0].path)
                raw.say(Hello(messages.PROTOCOL))
                raw.say(Open(1, wanted))
                refused = await raw.until(Refused)
                assert isinstance(refused, Refused)
                assert refused.error.code == code
                assert refused.error.message
                raw.close()

    asyncio.run(test())


def test_a_batch_of_a_model_that_is_not_open_was_never_begun() -> None:
    async def test() -> None:
        async with remote_world(start=False) as w:
            raw = await Raw.connect(w.hosts[0].path)
            raw.say(Hello(messages.PROTOCOL))
            raw.say(batch(model=9), b"x")
            assert await raw.until(Lost) == Lost(7, "not_open", suspect=False, outside=True)
            assert isinstance(await raw.until(State), State)
            raw.close()

    asyncio.run(test())


@settings(max_examples=200)
@given(
    st.lists(st.integers(0, 9), max_size=6),
    st.lists(st.integers(-9, 9), max_size=6),
    st.lists(st.floats(-5, 5), max_size=6),
    st.binary(max_size=6),
    st.binary(max_size=20),
)
def test_a_batch_is_read_whole_or_not_at_all(
    lengths: list[int], json_lengths: list[int], seconds: list[float], formats: bytes, payload: bytes
) -> None:
    run = batch(lengths=tuple(lengths), json_lengths=json_lengths, seconds=seconds, formats=formats)
    try:
        calls = _calls(run, payload, 100.0)
    except ProtocolError:
        return
    assert b"".join(call.body for call in calls) == payload
    assert [call.json_length for call in calls] == json_lengths
    assert [call.deadline - 100.0 for call in calls] == pytest.approx(seconds)
