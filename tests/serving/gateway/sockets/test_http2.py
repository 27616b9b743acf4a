"""The shell of a connection on a fake transport and a manual clock, driven by raw frames."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shoal.core.clock import ManualClock
from shoal.core.wire import grpc
from shoal.core.wire.grpc import Status
from shoal.core.wire.http2 import ErrorCode, codes, encode_block, frames
from shoal.serving.gateway.exchange import Exchange, Rpc, RpcStream, Streaming, Unary, WireLimits
from shoal.serving.gateway.sockets.http2 import Http2Connection
from support.http2_wire import GET, POST, Answers, FakeTransport, RawClient, goaway_code, grpc_head, kinds, resets

Headers = list[tuple[bytes, bytes]]


class Chat(RpcStream):
    """A streaming method: says every message twice, and ends when the client does."""

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc

    def on_message(self, message: bytes) -> None:
        if message == b"bug":
            raise RuntimeError("bug")
        self.rpc.send(message)
        self.rpc.send(message)

    def on_end(self) -> None:
        self.rpc.end()


class Node:
    """A connection, the application behind it, and the client before it."""

    def __init__(self, transport: FakeTransport | None = None, **limits: Any) -> None:
        self.clock = ManualClock()
        self.transport = transport or FakeTransport()
        self.exchanges: list[Exchange] = []
        self.calls: list[tuple[Rpc, bytes]] = []
        self.chats: list[Chat] = []
        self.gone: list[object] = []
        self.closed: list[Http2Connection] = []
        self.raw = RawClient()
        self.answers = Answers()
        self.http: Callable[[Exchange], None] = self.exchanges.append
        self.connection = Http2Connection(
            self.transport,  # type: ignore[arg-type]
            http=lambda exchange: self.http(exchange),
            rpc={
                b"/t/Keep": Unary(self.keep),
                b"/t/Echo": Unary(lambda rpc, message: rpc.finish(message)),
                b"/t/Bug": Unary(lambda rpc, message: 1 / 0),
                b"/t/Chat": Streaming(self.open_chat),
                b"/t/NoChat": Streaming(lambda rpc: 1 / 0),
            },
            limits=WireLimits(**limits),
            clock=self.clock,
            on_close=self.closed.append,
        )
        self.send(self.raw.hello())

    def keep(self, rpc: Rpc, message: bytes) -> None:
        rpc.on_gone = lambda: self.gone.append(rpc)
        self.calls.append((rpc, message))

    def open_chat(self, rpc: Rpc) -> Chat:
        rpc.on_gone = lambda: self.gone.append(rpc)
        self.chats.append(Chat(rpc))
        return self.chats[-1]

    def send(self, *data: bytes) -> Answers:
        self.connection.data_received(b"".join(data))
        return self.answers.feed(self.transport.take())

    def sweep(self, seconds: float) -> Answers:
        self.clock.advance(seconds)
        self.connection.sweep(self.clock())
        return self.answers.feed(self.transport.take())

    async def settle(self) -> Answers:
        await asyncio.sleep(0)
        return self.answers.feed(self.transport.take())

    def call(self, sid: int, path: bytes, message: bytes, *more: tuple[bytes, bytes], flag: bool = False) -> Answers:
        body = grpc.prefix(len(message), flag) + message
        pieces = [body[at : at + 16_384] for at in range(0, len(body), 16_384)]
        parts = [self.raw.data(sid, piece, end=False) for piece in pieces[:-1]]
        return self.send(self.raw.head(sid, grpc_head(path, *more), end=False), *parts, self.raw.data(sid, pieces[-1]))

    def post(self, sid: int, body: bytes, *more: tuple[bytes, bytes]) -> Answers:
        return self.send(self.raw.head(sid, [*POST, *more], end=False), self.raw.data(sid, body))


def on_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run an async test, named as it is."""

    def run() -> None:
        asyncio.run(test())  # type: ignore[arg-type]

    run.__name__ = test.__name__
    return run


def problem(answers: Answers, sid: int) -> tuple[int, str]:
    return answers.status(sid), json.loads(answers.bodies[sid])["code"]


# gRPC


@on_loop
async def test_a_unary_call_is_answered_in_one_write() -> None:
    node = Node()
    answers = node.call(1, b"/t/Echo", b"hello")
    assert answers.bodies[1] == b"\0\0\0\0\5hello"
    assert answers.headers[1] == [
        {b":status": b"200", b"content-type": b"application/grpc"},
        {b"grpc-status": b"0"},
    ]
    assert answers.ended == {1}
    assert node.connection.busy == 0


@on_loop
async def test_what_the_application_sees_of_a_call() -> None:
    node = Node()
    node.call(1, b"/t/Keep", b"hello", (b"grpc-timeout", b"250m"), (b"x-key", b"v"))
    ((rpc, message),) = node.calls
    assert (rpc.path, message, rpc.metadata[b"x-key"]) == (b"/t/Keep", b"hello", b"v")
    assert rpc.arrived == node.clock()
    assert rpc.deadline == node.clock() + 0.25
    assert node.connection.busy == 1


@on_loop
async def test_answers_of_one_turn_leave_together() -> None:
    node = Node()
    for sid in (1, 3, 5):
        node.call(sid, b"/t/Keep", b"")
    for rpc, _ in node.calls:
        rpc.finish(b"late")
    assert node.transport.written == b""
    answers = await node.settle()
    assert answers.ended == {1, 3, 5}


@on_loop
async def test_equal_heads_share_nothing_that_can_be_changed() -> None:
    node = Node()
    node.call(1, b"/t/Keep", b"")
    node.call(3, b"/t/Keep", b"")
    node.calls[0][0].metadata[b"x"] = b"1"
    node.call(5, b"/t/Keep", b"")
    assert b"x" not in node.calls[2][0].metadata


@on_loop
async def test_a_second_answer_is_ignored() -> None:
    node = Node()
    node.call(1, b"/t/Keep", b"")
    rpc = node.calls[0][0]
    rpc.fail(5, "gone")
    rpc.finish(b"late")
    rpc.fail(13, "later")
    rpc.send(b"x")
    rpc.end()
    answers = await node.settle()
    assert answers.grpc_status(1) == 5
    assert len(answers.headers[1]) == 1


@on_loop
async def test_an_error_carries_text_metadata_and_details() -> None:
    node = Node()
    node.call(1, b"/t/Keep", b"")
    node.calls[0][0].fail(14, "voll \N{FISH}\n", [(b"grpc-retry-pushback-ms", b"100"), (b"x", b"a\r\nb")], b"\x08\x0e")
    (fields,) = (await node.settle()).headers[1]
    assert fields[b"grpc-message"] == b"voll %F0%9F%90%9F%0A"
    assert fields[b"grpc-status-details-bin"] == b"CA4"
    assert fields[b"grpc-retry-pushback-ms"] == b"100"
    assert fields[b"x"] == b"a  b"


refusals = {
    "unknown path": (b"/t/Nope", [], b"\0\0\0\0\0", Status.UNIMPLEMENTED),
    "bad timeout": (b"/t/Echo", [(b"grpc-timeout", b"soon")], b"\0\0\0\0\0", Status.INVALID_ARGUMENT),
    "unknown encoding": (b"/t/Echo", [(b"grpc-encoding", b"br")], b"\0\0\0\0\0", Status.UNIMPLEMENTED),
    "too large": (b"/t/Echo", [], grpc.prefix(5001), Status.RESOURCE_EXHAUSTED),
    "declared too large": (b"/t/Echo", [(b"content-length", b"6000")], b"", Status.RESOURCE_EXHAUSTED),
    "metadata too large": (b"/t/Echo", [(b"x", b"v" * 9000)], b"\0\0\0\0\0", Status.RESOURCE_EXHAUSTED),
    "too many headers": (
        b"/t/Echo",
        [(b"x-%d" % at, b"") for at in range(40)],
        b"\0\0\0\0\0",
        Status.RESOURCE_EXHAUSTED,
    ),
    "bad flag": (b"/t/Echo", [], b"\x07\0\0\0\0", Status.INTERNAL),
    "gzip without encoding": (b"/t/Echo", [], b"\x01\0\0\0\0", Status.INTERNAL),
    "gzip that is none": (b"/t/Echo", [(b"grpc-encoding", b"gzip")], b"\x01\0\0\0\1x", Status.INTERNAL),
    "cut short": (b"/t/Echo", [], b"\0\0\0\0\5abc", Status.INTERNAL),
    "no message": (b"/t/Echo", [], b"", Status.INTERNAL),
    "two messages": (b"/t/Echo", [], b"\0\0\0\0\1a\0\0\0\0\1b", Status.INTERNAL),
    "bomb": (
        b"/t/Echo",
        [(b"grpc-encoding", b"gzip")],
        (lambda data: grpc.prefix(len(data), True) + data)(grpc.deflate(bytes(1_000_000))),
        Status.RESOURCE_EXHAUSTED,
    ),
    "a bug": (b"/t/Bug", [], b"\0\0\0\0\0", Status.INTERNAL),
    "a bug at opening": (b"/t/NoChat", [], b"\0\0\0\0\0", Status.INTERNAL),
}


@pytest.mark.parametrize("name", refusals)
def test_a_call_that_cannot_be_made_ends_with_its_status(name: str) -> None:
    path, more, body, status = refusals[name]

    async def run() -> None:
        node = Node(body_bytes=5000, header_bytes=8192, header_count=40)
        answers = node.send(node.raw.head(1, grpc_head(path, *more), end=False), node.raw.data(1, body))
        assert answers.grpc_status(1) == status
        assert answers.headers[1][0][b"content-type"] == b"application/grpc"
        assert answers.ended == {1}
        node.call(3, b"/t/Echo", b"still here")
        assert node.answers.grpc_status(3) == Status.OK
        assert node.connection.busy == 0

    asyncio.run(run())


@on_loop
async def test_grpc_by_get_is_told_so() -> None:
    node = Node()
    fields = [(b":method", b"GET"), *grpc_head(b"/t/Echo")[1:]]
    answers = node.send(node.raw.head(1, fields))
    assert (answers.status(1), answers.grpc_status(1)) == (405, Status.INTERNAL)


@on_loop
async def test_a_client_that_cancels_is_told_of_once() -> None:
    node = Node()
    node.call(1, b"/t/Keep", b"")
    node.send(frames.rst_stream(1, ErrorCode.CANCEL))
    assert node.gone == [node.calls[0][0]]
    node.calls[0][0].finish(b"late")
    assert (await node.settle()).headers == {}
    node.connection.connection_lost(None)
    assert len(node.gone) == 1


@on_loop
async def test_a_lost_connection_cancels_what_is_open() -> None:
    node = Node()
    node.call(1, b"/t/Keep", b"")
    node.call(3, b"/t/Keep", b"")
    node.calls[0][0].finish(b"")
    node.connection.connection_lost(None)
    node.connection.connection_lost(None)
    assert node.gone == [node.calls[1][0]]
    assert node.closed == [node.connection]
    node.calls[1][0].finish(b"late")


@on_loop
async def test_a_failing_on_gone_hurts_nobody() -> None:
    node = Node()
    for sid in (1, 3):
        node.call(sid, b"/t/Keep", b"")
    node.calls[0][0].on_gone = lambda: 1 / 0  # type: ignore[assignment, return-value]
    node.connection.connection_lost(None)
    assert node.gone == [node.calls[1][0]]


@on_loop
async def test_large_messages_cross_in_many_frames() -> None:
    node = Node()
    message = b"m" * 300_000
    answers = node.call(1, b"/t/Echo", message)
    assert 1 not in answers.ended
    answers = node.send(frames.window_update(0, 10**6), frames.window_update(1, 10**6))
    assert answers.bodies[1][5:] == message
    assert answers.grpc_status(1) == 0


@on_loop
async def test_a_compressed_call_is_answered_compressed_if_it_pays() -> None:
    node = Node()
    message = b"compressible" * 1000
    gzipped = [(b"grpc-encoding", b"gzip"), (b"grpc-accept-encoding", b"identity,gzip")]
    answers = node.call(1, b"/t/Echo", grpc.deflate(message), *gzipped, flag=True)
    assert answers.headers[1][0][b"grpc-encoding"] == b"gzip"
    assert answers.bodies[1][0] == 1
    assert grpc.inflate(answers.bodies[1][5:], 10**6) == message
    answers = node.call(3, b"/t/Echo", grpc.deflate(b"short"), *gzipped, flag=True)
    assert answers.bodies[3] == b"\0\0\0\0\5short"
    answers = node.call(5, b"/t/Echo", message, *gzipped)
    assert answers.bodies[5][5:] == message
    answers = node.call(7, b"/t/Echo", grpc.deflate(message), gzipped[0], flag=True)
    assert answers.bodies[7][5:] == message


async def until(node: Node, done: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not done():
            await asyncio.sleep(0.001)
            node.answers.feed(node.transport.take())


@on_loop
async def test_what_takes_long_to_inflate_is_not_inflated_on_the_loop() -> None:
    node = Node()
    message = bytes(2_000_000)
    node.call(1, b"/t/Keep", grpc.deflate(message), (b"grpc-encoding", b"gzip"), flag=True)
    assert not node.calls
    await until(node, lambda: bool(node.calls))
    assert node.calls[0][1] == message
    node.call(3, b"/t/Keep", grpc.deflate(bytes(70_000_000)), (b"grpc-encoding", b"gzip"), flag=True)
    await until(node, lambda: 3 in node.answers.ended)
    assert node.answers.grpc_status(3) == Status.RESOURCE_EXHAUSTED


@on_loop
async def test_streams_of_messages_go_both_ways_in_order() -> None:
    node = Node()
    message = grpc.deflate(bytes(1_000_000))
    head = node.raw.head(1, grpc_head(b"/t/Chat", (b"grpc-encoding", b"gzip")), end=False)
    assert node.send(head).headers == {}
    answers = node.send(node.raw.data(1, b"\0\0\0\0\1a\0\0\0\0\1b\0\0", end=False))
    assert answers.bodies[1] == b"\0\0\0\0\1a" * 2 + b"\0\0\0\0\1b" * 2
    node.send(node.raw.data(1, b"\0\0\1c" + grpc.prefix(len(message), True) + message, end=False))
    answers = node.send(node.raw.data(1, b"\0\0\0\0\1z"))
    assert 1 not in answers.ended
    await until(node, lambda: len(node.answers.bodies[1]) > 65_000)
    node.send(frames.window_update(0, 10**7), frames.window_update(1, 10**7))
    await until(node, lambda: 1 in node.answers.ended)
    assert answers.bodies[1].endswith(b"\0\0\0\0\1z" * 2)
    assert answers.grpc_status(1) == 0


@on_loop
async def test_a_bug_in_a_stream_ends_that_stream() -> None:
    node = Node()
    node.send(node.raw.head(1, grpc_head(b"/t/Chat"), end=False), node.raw.data(1, b"\0\0\0\0\1a", end=False))
    answers = node.send(node.raw.data(1, b"\0\0\0\0\3bug", end=False))
    assert answers.grpc_status(1) == Status.INTERNAL
    assert resets(answers.frames)[1] == ErrorCode.NO_ERROR


@on_loop
async def test_a_malformed_message_ends_a_stream_and_tells_the_application() -> None:
    node = Node()
    node.send(node.raw.head(1, grpc_head(b"/t/Chat"), end=False), node.raw.data(1, b"\0\0\0\0\1a", end=False))
    answers = node.send(node.raw.data(1, b"\x09\0\0\0\0", end=False))
    assert answers.grpc_status(1) == Status.INTERNAL
    assert node.gone == [node.chats[0].rpc]


@on_loop
async def test_a_stream_without_messages_ends_well() -> None:
    node = Node()
    answers = node.send(node.raw.head(1, grpc_head(b"/t/Chat")))
    assert answers.grpc_status(1) == 0
    assert answers.bodies == {}


# REST


@on_loop
async def test_a_request_becomes_an_exchange() -> None:
    node = Node()
    node.post(1, b'{"a": 1}', (b"content-type", b"application/json"), (b"x-a", b"1"))
    (exchange,) = node.exchanges
    assert (exchange.method, exchange.target, exchange.body) == (b"POST", b"/v2", b'{"a": 1}')
    assert exchange.headers == {b"host": b"shoal", b"content-type": b"application/json", b"x-a": b"1"}
    exchange.respond(200, b"{}", headers=[(b"X-Id", b"7\r\nevil: 1")])
    exchange.respond(500, b"again")
    answers = await node.settle()
    assert answers.bodies[1] == b"{}"
    (fields,) = answers.headers[1]
    assert fields.pop(b"date").endswith(b" GMT")
    assert fields == {
        b":status": b"200", b"content-type": b"application/json", b"content-length": b"2", b"x-id": b"7  evil: 1",
    }  # fmt: skip


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
def test_some_answers_have_no_body(method: bytes, status: int) -> None:
    async def run() -> None:
        node = Node()
        node.http = lambda exchange: exchange.respond(status, b"body")
        answers = node.send(node.raw.head(1, [(b":method", method), *GET[1:]]))
        assert answers.ended == {1}
        assert answers.bodies == {}
        assert (b"content-length" in answers.headers[1][0]) is (status == 200)

    asyncio.run(run())


@on_loop
async def test_what_the_head_already_forbids_is_refused_before_the_body() -> None:
    node = Node(header_bytes=4096, target_bytes=50, body_bytes=1000)
    long_target = [*[each for each in POST if each[0] != b":path"], (b":path", b"/" + b"a" * 60)]
    answers = node.send(
        node.raw.head(1, [*POST, (b"x", b"v" * 5000)], end=False),
        node.raw.head(3, long_target, end=False),
        node.raw.head(5, [*POST, (b"content-length", b"1001")], end=False),
    )
    assert [problem(answers, sid) for sid in (1, 3, 5)] == [
        (431, "too_large"),
        (414, "too_large"),
        (413, "too_large"),
    ]
    assert answers.headers[1][0][b"x-content-type-options"] == b"nosniff"
    assert node.send(node.raw.data(1, b"x" * 10_000, end=False)).frames == answers.frames
    assert resets(answers.frames) == {}
    assert resets(node.sweep(1.5).frames) == dict.fromkeys((1, 3, 5), ErrorCode.NO_ERROR)
    assert not node.exchanges


@on_loop
async def test_a_body_is_refused_where_it_crosses_the_limit() -> None:
    node = Node(body_bytes=20_000)
    node.send(node.raw.head(1, POST, end=False), node.raw.data(1, b"x" * 16_000, end=False))
    answers = node.send(node.raw.data(1, b"x" * 5000, end=False))
    assert problem(answers, 1) == (413, "too_large")
    node.send(node.raw.data(1, b"x" * 5000))
    assert not node.exchanges
    assert node.connection.wire.receiver.held == 0


@on_loop
async def test_a_body_in_crumbs_is_refused() -> None:
    node = Node(chunk_count=10)
    crumbs = [node.raw.data(1, b"x", end=False) for _ in range(11)]
    assert problem(node.send(node.raw.head(1, POST, end=False), *crumbs), 1) == (400, "invalid_input")


@on_loop
async def test_bodies_are_decompressed_within_the_limit() -> None:
    node = Node(body_bytes=600_000)
    node.post(1, gzip.compress(b"hello"), (b"content-encoding", b"gzip"))
    node.post(3, gzip.compress(bytes(1_000_000)), (b"content-encoding", b"gzip"))
    node.post(5, b"junk", (b"content-encoding", b"gzip"))
    node.post(7, b"junk", (b"content-encoding", b"gzip, gzip"))
    node.post(9, gzip.compress(bytes(500_000)), (b"content-encoding", b"gzip"))
    await until(node, lambda: len(node.exchanges) == 2 and 3 in node.answers.ended)
    assert sorted(len(each.body) for each in node.exchanges) == [5, 500_000]
    assert problem(node.answers, 3) == (413, "too_large")
    assert problem(node.answers, 5) == (400, "invalid_input")
    assert problem(node.answers, 7) == (415, "unsupported")


@pytest.mark.parametrize("size", [1023, 1024, 200_000])
def test_answers_are_compressed_for_clients_that_accept_it(size: int) -> None:
    async def run() -> None:
        node = Node()
        node.http = lambda exchange: exchange.respond(200, b"x" * size)
        node.send(frames.window_update(0, 10**6), frames.settings({codes.INITIAL_WINDOW_SIZE: 10**6}))
        node.send(node.raw.head(1, [*GET, (b"accept-encoding", b"gzip")]), node.raw.head(3, GET))
        await until(node, lambda: node.answers.ended == {1, 3})
        answers = node.answers
        assert (answers.headers[1][0].get(b"content-encoding") == b"gzip") is (size >= 1024)
        body = gzip.decompress(answers.bodies[1]) if size >= 1024 else answers.bodies[1]
        assert body == answers.bodies[3] == b"x" * size
        assert answers.headers[1][0][b"content-length"] == b"%d" % len(answers.bodies[1])

    asyncio.run(run())


@on_loop
async def test_an_expecting_client_is_told_to_go_on() -> None:
    node = Node()
    answers = node.send(node.raw.head(1, [*POST, (b"expect", b"100-continue")], end=False))
    assert answers.headers[1] == [{b":status": b"100"}]


@on_loop
async def test_a_bug_of_the_application_is_a_500() -> None:
    node = Node()
    node.http = lambda exchange: 1 / 0  # type: ignore[assignment, return-value]
    assert problem(node.send(node.raw.head(1, GET)), 1) == (500, "internal")
    assert node.connection.busy == 0


@on_loop
async def test_a_client_that_leaves_before_the_answer_is_told_of() -> None:
    node = Node()
    node.send(node.raw.head(1, GET))
    node.exchanges[0].on_gone = lambda: node.gone.append(1)
    node.send(frames.rst_stream(1, ErrorCode.CANCEL))
    node.exchanges[0].respond(200, b"late")
    assert node.gone == [1]
    assert (await node.settle()).headers == {}


# Time


@on_loop
async def test_an_idle_connection_is_closed_and_a_busy_one_is_not() -> None:
    node = Node(idle_seconds=100.0)
    node.send(node.raw.head(1, GET))
    node.sweep(99)
    node.sweep(99)
    node.exchanges[0].respond(200)
    node.sweep(1)
    assert goaway_code(node.sweep(99).frames) is None
    answers = node.sweep(2)
    assert goaway_code(answers.frames) == ErrorCode.NO_ERROR
    assert node.transport.eof
    assert not node.transport.aborted
    node.sweep(3)
    assert node.transport.aborted


@on_loop
async def test_quick_calls_between_sweeps_keep_a_connection_alive() -> None:
    node = Node(idle_seconds=10.0)
    for sid in range(1, 21, 2):
        node.call(sid, b"/t/Echo", b"")
        node.sweep(6)
    assert goaway_code(node.answers.frames) is None


@on_loop
async def test_a_body_without_progress_is_refused() -> None:
    node = Node(body_seconds=30.0, idle_seconds=1000.0)
    node.send(node.raw.head(1, POST, end=False), node.raw.head(3, grpc_head(b"/t/Keep"), end=False))
    node.sweep(20)
    node.send(node.raw.data(1, b"x", end=False))
    answers = node.sweep(20)
    assert answers.grpc_status(3) == Status.DEADLINE_EXCEEDED
    assert 1 not in answers.ended
    assert problem(node.sweep(20), 1) == (408, "deadline_exceeded")


@on_loop
async def test_a_stream_of_messages_may_rest_but_not_within_a_message() -> None:
    node = Node(body_seconds=30.0)
    node.send(node.raw.head(1, grpc_head(b"/t/Chat"), end=False), node.raw.head(3, grpc_head(b"/t/Chat"), end=False))
    node.send(node.raw.data(1, b"\0\0\0\0\1a", end=False), node.raw.data(3, b"\0\0\0\0\5a", end=False))
    answers = node.sweep(31)
    assert answers.ended == {3}
    assert node.gone == [node.chats[1].rpc]


@pytest.mark.parametrize("start", ["frame", "block", "preface"])
def test_slow_headers_end_the_connection(start: str) -> None:
    async def run() -> None:
        node = Node(header_seconds=10.0)
        block = node.raw.block(GET)
        if start == "frame":
            node.send(frames.frame(codes.HEADERS, 5, 1, block)[:12])
        elif start == "block":
            node.send(frames.frame(codes.HEADERS, 1, 1, block[:4]))
        else:
            node = Node(header_seconds=10.0)
            node.connection.wire._preface = b"SM\r\n\r\n"
        node.sweep(1)
        node.sweep(9)
        assert not node.transport.eof
        answers = node.sweep(2)
        assert goaway_code(answers.frames) == ErrorCode.ENHANCE_YOUR_CALM
        assert node.transport.eof

    asyncio.run(run())


@on_loop
async def test_a_client_that_does_not_open_its_window_loses_the_stream() -> None:
    node = Node(write_seconds=30.0)
    node.send(frames.settings({codes.INITIAL_WINDOW_SIZE: 0}))
    node.call(1, b"/t/Keep", b"")
    node.calls[0][0].finish(b"x" * 1000)
    node.sweep(1)
    node.sweep(28)
    assert node.connection.busy == 1
    answers = node.sweep(3)
    assert resets(answers.frames)[1] == ErrorCode.CANCEL
    assert node.connection.busy == node.connection.wire.sender.queued == 0


@on_loop
async def test_a_client_that_does_not_read_loses_the_connection() -> None:
    node = Node(write_seconds=30.0)
    node.connection.pause_writing()
    assert node.transport.reading_paused
    node.transport.taken = 0
    node.transport.written = b"stuck"
    node.connection.sweep(node.clock())
    node.clock.advance(29)
    node.transport.taken = 2
    node.connection.sweep(node.clock())
    node.clock.advance(29)
    node.connection.sweep(node.clock())
    assert not node.transport.aborted
    node.clock.advance(2)
    node.connection.sweep(node.clock())
    assert node.transport.aborted


# Output and its end


@on_loop
async def test_bodies_wait_while_the_transport_is_full() -> None:
    node = Node()
    node.call(1, b"/t/Keep", b"")
    node.connection.pause_writing()
    node.calls[0][0].finish(b"x" * 1000)
    answers = await node.settle()
    assert kinds(answers.frames)[-1] == codes.HEADERS
    node.connection.resume_writing()
    assert not node.transport.reading_paused
    assert (await node.settle()).ended == {1}


@on_loop
async def test_requests_wait_while_answers_pile_up() -> None:
    node = Node(write_buffer_bytes=10_000)
    node.send(frames.settings({codes.INITIAL_WINDOW_SIZE: 0}))
    node.call(1, b"/t/Echo", b"x" * 12_000)
    node.call(3, b"/t/Keep", b"")
    node.post(5, b"x")
    assert node.connection.congested
    assert not node.calls
    assert not node.exchanges
    node.send(frames.rst_stream(5, ErrorCode.CANCEL), frames.window_update(1, 100_000))
    assert not node.connection.congested
    assert len(node.calls) == 1
    assert not node.exchanges


@on_loop
async def test_a_large_answer_leaves_turn_by_turn() -> None:
    node = Node()
    node.send(frames.window_update(0, 2**30), frames.settings({codes.INITIAL_WINDOW_SIZE: 2**30}))
    node.call(1, b"/t/Keep", b"")
    node.calls[0][0].finish(b"x" * 5_000_000)
    writes = 0
    while 1 not in node.answers.ended:
        await node.settle()
        writes += 1
    assert writes >= 5
    assert len(node.answers.bodies[1]) == 5_000_005


@on_loop
async def test_a_fault_of_the_client_closes_after_the_goaway() -> None:
    node = Node()
    node.call(1, b"/t/Keep", b"")
    answers = node.send(frames.frame(codes.PING, 0, 0, b"short"))
    assert goaway_code(answers.frames) == ErrorCode.FRAME_SIZE_ERROR
    assert node.transport.eof
    assert node.gone == [node.calls[0][0]]
    node.send(node.raw.head(3, GET))
    assert node.transport.written == b""
    assert not node.exchanges


@on_loop
async def test_without_half_close_the_transport_is_closed() -> None:
    node = Node(FakeTransport(half_close=False))
    node.send(frames.frame(codes.PING, 0, 0, b"short"))
    assert node.transport.closed


@on_loop
async def test_shutdown_finishes_what_is_in_flight() -> None:
    node = Node()
    node.call(1, b"/t/Keep", b"")
    node.connection.shutdown()
    node.send(node.raw.head(3, GET))
    ping = next(payload for kind, flags, _, payload in node.answers.feed(node.transport.take()).frames if kind == 6)
    node.send(frames.ping(ping, ack=True))
    node.send(node.raw.head(5, GET))
    assert [each.target for each in node.exchanges] == [b"/v2"]
    node.exchanges[0].respond(200)
    node.calls[0][0].finish(b"done")
    answers = await node.settle()
    assert answers.ended == {1, 3}
    assert node.transport.eof


@on_loop
async def test_shutdown_does_not_wait_for_a_client_that_ignores_pings() -> None:
    node = Node()
    node.connection.shutdown()
    node.sweep(0.5)
    assert not node.transport.eof
    node.sweep(1)
    assert node.transport.eof


@on_loop
async def test_abort_closes_at_once() -> None:
    node = Node()
    node.connection.abort()
    assert node.transport.aborted


# Abuse (P10, P11, P12)


@on_loop
async def test_rapid_reset_never_runs_more_handlers_than_streams() -> None:
    node = Node(streams=20)
    for at in range(450):
        sid = 2 * at + 1
        node.call(sid, b"/t/Keep", b"")
        node.send(frames.rst_stream(sid, ErrorCode.CANCEL))
        assert len(node.calls) - len(node.gone) <= 20
    for at in range(450, 700):
        sid = 2 * at + 1
        node.call(sid, b"/t/Keep", b"")
        node.send(frames.rst_stream(sid, ErrorCode.CANCEL))
    assert goaway_code(node.answers.frames) == ErrorCode.ENHANCE_YOUR_CALM
    assert len(node.calls) == len(node.gone)


@on_loop
async def test_a_body_that_stalls_zero_windows_holds_bounded_memory() -> None:
    node = Node(write_buffer_bytes=100_000, streams=50)
    node.send(frames.settings({codes.INITIAL_WINDOW_SIZE: 0}))
    for at in range(50):
        node.call(2 * at + 1, b"/t/Echo", b"x" * 16_000)
    assert node.connection.wire.sender.queued <= 100_000 + 16_005


@pytest.mark.parametrize("value", [b"\x01\x02\x7f\x80\xff", b"%%%", b"=" * 50, "\u00e9".encode("latin-1")])
def test_binary_junk_in_metadata_is_passed_on_or_refused_but_never_a_crash(value: bytes) -> None:
    async def run() -> None:
        node = Node()
        answers = node.call(1, b"/t/Echo", b"x", (b"x-junk", value), (b"x-junk-bin", value))
        assert answers.grpc_status(1) == 0

    asyncio.run(run())


@on_loop
async def test_megabytes_of_metadata_end_the_connection_with_little_read() -> None:
    node = Node()
    block = encode_block(grpc_head(b"/t/Echo", (b"x", b"\xff" * 1_000_000)))
    answers = node.send(frames.headers(1, block, False, 16_384))
    assert goaway_code(answers.frames) == ErrorCode.ENHANCE_YOUR_CALM
    assert node.transport.eof
