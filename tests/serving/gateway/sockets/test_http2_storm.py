"""Whatever clients and time do to a connection, in whatever order: it never raises, and nothing is left behind.

A storm is a client's valid frames, some of them damaged, cut into reads, among which the application answers early,
late or never, the client stops reading, time passes, and the node shuts down.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.core.clock import ManualClock
from shoal.core.wire import grpc
from shoal.core.wire.http2 import codes, frames
from shoal.serving.gateway.exchange import Exchange, Rpc, RpcStream, Streaming, Unary, WireLimits
from shoal.serving.gateway.sockets.http2 import Http2Connection
from support.http2_wire import POST, FakeTransport, RawClient, grpc_head, split


class Echoing(RpcStream):
    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc

    def on_message(self, message: bytes) -> None:
        self.rpc.send(message)

    def on_end(self) -> None:
        self.rpc.end()


class Storm:
    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.clock = ManualClock()
        self.transport = FakeTransport()
        self.kept: list[Exchange | Rpc] = []
        self.closed = 0
        self.connection = Http2Connection(
            self.transport,  # type: ignore[arg-type]
            http=self._http,
            rpc={
                b"/t/Echo": Unary(lambda rpc, message: rpc.finish(message)),
                b"/t/Keep": Unary(lambda rpc, message: self.kept.append(rpc)),
                b"/t/Chat": Streaming(Echoing),
            },
            limits=WireLimits(body_bytes=50_000, write_buffer_bytes=100_000, streams=20),
            clock=self.clock,
            on_close=self._closed,
        )

    def _closed(self, connection: Http2Connection) -> None:
        self.closed += 1

    def _http(self, exchange: Exchange) -> None:
        if self.dice.random() < 0.5:
            self.kept.append(exchange)
        else:
            exchange.respond(200, exchange.body or b"q" * self.dice.choice((0, 10, 5000, 100_000)))

    def bytes_of_a_client(self) -> bytes:
        dice, raw, sid = self.dice, RawClient(), 1
        parts = [raw.hello({codes.INITIAL_WINDOW_SIZE: dice.choice((0, 100, 65_535, 1 << 20))})]
        for _ in range(dice.randrange(1, 40)):
            kind, target = dice.randrange(10), max(1, sid - 2 * dice.randrange(3))
            if kind < 3:
                parts.append(raw.head(sid, self._head(), end=dice.random() < 0.2))
                sid += 2
            elif kind < 6:
                parts.append(raw.data(target, self._message(), end=dice.random() < 0.6))
            elif kind == 6:
                parts.append(frames.window_update(dice.choice((0, target)), dice.randrange(100_000)))
            elif kind == 7:
                parts.append(frames.rst_stream(target, 8))
            elif kind == 8:
                parts.append(frames.settings({codes.INITIAL_WINDOW_SIZE: dice.choice((0, 10, 100_000))}))
            else:
                junk = dice.randbytes(dice.randrange(20))
                parts.append(frames.frame(dice.randrange(11), dice.randrange(256), target, junk))
        data = bytearray(b"".join(parts))
        for _ in range(dice.choice((0, 0, 1, 3))):
            data[dice.randrange(24, len(data))] = dice.randrange(256)
        return bytes(data)

    def _head(self) -> list[tuple[bytes, bytes]]:
        if self.dice.random() < 0.5:
            return [*POST, *[(b"content-encoding", b"gzip")][: self.dice.randrange(2)]]
        path = self.dice.choice((b"/t/Echo", b"/t/Keep", b"/t/Chat", b"/t/Nope"))
        return grpc_head(path, *[(b"grpc-encoding", b"gzip")][: self.dice.randrange(2)])

    def _message(self) -> bytes:
        message = self.dice.choice((b"", b"x" * 10, b"y" * 3000))
        flag = self.dice.random() < 0.3
        if flag:
            message = grpc.deflate(message)
        return grpc.prefix(len(message), flag) + message

    async def rage(self) -> None:
        data, at = self.bytes_of_a_client(), 0
        while at < len(data):
            size = self.dice.choice((1, 7, 100, 1000, 100_000))
            self.connection.data_received(data[at : at + size])
            at += size
            await self._something_else()

    async def _something_else(self) -> None:
        dice, connection = self.dice, self.connection
        if self.kept and dice.random() < 0.5:
            self._answer(self.kept.pop(dice.randrange(len(self.kept))), b"a" * dice.choice((0, 2000, 80_000)))
        if dice.random() < 0.2:
            await asyncio.sleep(0)
        if dice.random() < 0.1:
            self.clock.advance(dice.choice((1, 20, 50)))
            connection.sweep(self.clock())
        if dice.random() < 0.05 and not connection.wire.sender.paused:
            connection.pause_writing()
        elif dice.random() < 0.2 and connection.wire.sender.paused:
            connection.resume_writing()

    @staticmethod
    def _answer(request: Exchange | Rpc, body: bytes) -> None:
        if isinstance(request, Rpc):
            request.finish(body)
        else:
            request.respond(200, body)

    async def calm_down(self) -> None:
        if self.connection.wire.sender.paused:
            self.connection.resume_writing()
        if self.dice.random() < 0.5:
            self.connection.shutdown()
        for _ in range(3):
            self.clock.advance(40)
            self.connection.sweep(self.clock())
            await asyncio.sleep(0)
        self.connection.connection_lost(None)
        await asyncio.sleep(0)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_a_storm_leaves_nothing_behind(seed: int) -> None:
    storm_errors: list[dict[str, Any]] = []

    async def run() -> Storm:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: storm_errors.append(context))
        storm = Storm(random.Random(seed))
        await storm.rage()
        await storm.calm_down()
        return storm

    storm = asyncio.run(run())
    wire = storm.connection.wire
    assert not storm_errors
    assert storm.closed == 1
    assert storm.connection.busy == wire.receiver.held == wire.sender.queued == 0
    assert not wire.sender.blocked
    assert not wire.receiver.holders
    assert not any(wire.receiver.is_parked(each) for each in wire.streams.values())
    assert split(storm.transport.written) is not None, "only whole frames were written"
