"""One end of the hop, given bytes that nobody of ours would send."""

from __future__ import annotations

import asyncio
import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.call import Format
from shoal.core.ipc import frames
from shoal.serving.hop import messages
from shoal.serving.hop.messages import Answer, Cancel, Hello, Ping, Submit
from shoal.serving.peering.connection import JOIN_BELOW, Connection, ProtocolError
from support.http2_wire import FakeTransport

SAID = [
    (Hello(messages.PROTOCOL, "g"), b""),
    (Submit(1, "m", "", Format.V2_JSON, -1, 1, 1, "t", 5.0), b'{"inputs": []}' * 10),
    (Cancel(1), b""),
    (Ping(), b""),
]
STREAM = b"".join(frames.prefix(messages.encode(each), len(body)) + body for each, body in SAID)


class End:
    """A connection over a fake transport, and what it has told."""

    def __init__(self, frame_bytes: int = 10_000) -> None:
        self.heard: list[msgspec.Struct] = []
        self.ends: list[str] = []
        self.connection = Connection(
            messages.decode_to_proxy,
            lambda message, payload: self.heard.append(message),
            self.ends.append,
            frame_bytes=frame_bytes,
            buffer_bytes=1000,
        )
        self.transport = FakeTransport()
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]

    def feed(self, data: bytes, pieces: int = 1) -> None:
        size = max(1, len(data) // pieces)
        for at in range(0, len(data), size):
            self.connection.data_received(data[at : at + size])


def on_loop(test):  # type: ignore[no-untyped-def]
    """Connections are made inside a running loop."""

    async def run() -> None:
        test()
        await asyncio.sleep(0)

    asyncio.run(run())


def mutated(seed: int) -> bytes:
    random_, data = random.Random(seed), bytearray(STREAM)
    for _ in range(random_.randint(1, 8)):
        at = random_.randrange(len(data))
        kind = random_.randrange(3)
        if kind == 0:
            data[at] = random_.randrange(256)
        elif kind == 1:
            del data[at : at + random_.randrange(1, 20)]
        else:
            data[at:at] = random_.randbytes(random_.randrange(1, 20))
    return bytes(data)


def test_changed_bytes_end_the_connection_or_are_other_messages_but_nothing_worse() -> None:
    def test() -> None:
        for seed in range(2000):
            end = End()
            end.feed(mutated(seed), pieces=1 + seed % 5)
            heard = len(end.heard)
            if end.transport.aborted:
                end.feed(STREAM)
                assert len(end.heard) == heard
            end.connection.connection_lost(None)
            end.connection.connection_lost(None)
            assert len(end.ends) == 1

    on_loop(test)


@given(st.binary(max_size=400), st.integers(1, 10))
def test_any_bytes_at_all_are_survived(data: bytes, pieces: int) -> None:
    def test() -> None:
        end = End()
        end.feed(data, pieces)
        end.feed(STREAM)

    on_loop(test)


def test_what_was_said_before_a_break_is_heard() -> None:
    def test() -> None:
        end = End()
        end.feed(STREAM + frames.prefix(b"\xc1", 0) + STREAM)
        assert end.heard == [each for each, _ in SAID]
        assert end.transport.aborted
        end.connection.connection_lost(None)
        assert end.ends[0].startswith("it broke the protocol")

    on_loop(test)


def test_a_payload_that_is_too_large_is_refused_by_its_announcement() -> None:
    def test() -> None:
        end = End(frame_bytes=100)
        end.feed(frames.prefix(messages.encode(Ping()), 100) + bytes(100))
        assert end.heard == [Ping()]
        end.feed(frames.prefix(messages.encode(Ping()), 101))
        assert end.transport.aborted

    on_loop(test)


def test_a_message_out_of_turn_ends_the_connection() -> None:
    def test() -> None:
        end = End()

        def refuse(message: msgspec.Struct, payload: bytes | bytearray) -> None:
            raise ProtocolError("not now")

        end.connection._on_message = refuse
        end.feed(STREAM)
        assert end.transport.aborted

    on_loop(test)


def test_all_messages_of_one_turn_are_one_write() -> None:
    async def test() -> None:
        end = End()
        writes: list[bytes] = []
        end.transport.write = writes.append  # type: ignore[method-assign]
        end.transport.writelines = lambda pieces: writes.append(b"".join(pieces))  # type: ignore[method-assign]
        for number in range(5):
            end.connection.send(Answer(number, -1), b"body")
        assert not writes
        await asyncio.sleep(0)
        (together,) = writes
        assert len(list(frames.FrameReader().feed(together))) == 5
        end.connection.send(Answer(6, -1), bytearray(JOIN_BELOW))
        end.connection.send(Ping())
        await asyncio.sleep(0)
        assert [len(bytes(body)) for _, body in frames.FrameReader().feed(writes[1])] == [JOIN_BELOW, 0]

    asyncio.run(test())


def test_a_polite_end_writes_what_was_said_before_and_nothing_after() -> None:
    async def test() -> None:
        end = End()
        end.connection.send(Ping())
        end.connection.close("the end", politely=True)
        end.connection.send(Ping())
        await asyncio.sleep(0)
        assert end.transport.closed
        assert len(list(frames.FrameReader().feed(end.transport.take()))) == 1

    asyncio.run(test())


def test_a_connection_that_was_given_up_before_it_was_made_is_cut() -> None:
    def test() -> None:
        connection = Connection(
            messages.decode_to_proxy, lambda *_: None, lambda why: None, frame_bytes=1, buffer_bytes=1
        )
        connection.close("too late")
        transport = FakeTransport()
        connection.connection_made(transport)  # type: ignore[arg-type]
        assert transport.aborted

    on_loop(test)
