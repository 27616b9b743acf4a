"""Abuse: what costs us and not the peer is cut off with ENHANCE_YOUR_CALM, and normal use never is."""

from collections.abc import Callable

import pytest

from shoal.core.wire.http2 import ErrorCode, Limits, codes, encode_block, frames
from shoal.core.wire.http2.faults import ConnectionFault
from shoal.core.wire.http2.guards import Allowance
from shoal.core.wire.http2.multiplex import MAX_CONTINUATIONS
from support.http2_wire import GET, POST, RawClient, Server, goaway_code, resets

HELLO = RawClient().hello()
OK = encode_block([(b":status", b"200")])


def ready(limits: Limits | None = None) -> tuple[Server, RawClient]:
    server = Server(limits)
    server.receive(HELLO)
    return server, RawClient()


def test_an_allowance_refills_and_is_earned_back() -> None:
    allowance = Allowance("things", burst=2, per_second=1)
    allowance.spend(10.0)
    allowance.spend(10.0)
    with pytest.raises(ConnectionFault):
        allowance.spend(10.5)
    allowance.spend(11.5)
    allowance.earn()
    allowance.spend(11.5)


floods: dict[str, Callable[[int, RawClient], bytes]] = {
    "ping": lambda _, raw: frames.ping(b"12345678"),
    "settings": lambda _, raw: frames.settings({codes.INITIAL_WINDOW_SIZE: 65_535}),
    "empty settings": lambda _, raw: frames.settings({}),
    "priority": lambda _, raw: frames.frame(codes.PRIORITY, 0, 1, bytes(5)),
    "unknown": lambda _, raw: frames.frame(0x42, 0, 0),
    "rapid reset": lambda at, raw: raw.head(2 * at + 1, POST) + frames.rst_stream(2 * at + 1, ErrorCode.CANCEL),
    "made-you reset": lambda at, raw: raw.head(2 * at + 1, POST) + frames.window_update(2 * at + 1, 0),
    "malformed": lambda at, raw: raw.head(2 * at + 1, [*GET, (b"te", b"x")]),
    "resets of the dead": lambda at, raw: (raw.head(1, GET) if at == 0 else b"") + frames.rst_stream(1, 8),
    "empty data": lambda at, raw: (raw.head(1, POST, end=False) if at == 0 else b"") + raw.data(1, b"", end=False),
    "credit for the dead": lambda at, raw: (
        (raw.head(1, GET) + frames.rst_stream(1, 8) if at == 0 else b"") + frames.window_update(1, 1)
    ),
}


@pytest.mark.parametrize("name", floods)
def test_a_flood_ends_the_connection(name: str) -> None:
    server, raw = ready()
    for at in range(1500):
        sent = server.receive(floods[name](at, raw))
        if server.connection.closed:
            break
    assert goaway_code(sent) == ErrorCode.ENHANCE_YOUR_CALM
    assert 40 < at < 1100
    assert all(stream.ended or stream.reset_code is not None for stream in server.seen)


@pytest.mark.parametrize("name", floods)
def test_the_same_in_moderation_is_fine(name: str) -> None:
    server, raw = ready()
    for at in range(1500):
        server.now += 1.0
        server.receive(floods[name](at, raw))
    assert not server.connection.closed


def test_a_busy_client_with_short_deadlines_is_no_attacker() -> None:
    """Every second call is cancelled, thousands within a second; the others are answered."""
    server, raw = ready()
    for at in range(3000):
        sid = 4 * at + 1
        server.receive(raw.head(sid, GET), raw.head(sid + 2, GET))
        server.connection.sender.answer(server.connection.streams[sid], OK, b"", b"x", b"")
        server.receive(frames.rst_stream(sid + 2, ErrorCode.CANCEL))
    assert not server.connection.closed


def test_streams_beyond_the_limit_are_refused_and_the_others_live() -> None:
    server, raw = ready(Limits(streams=3))
    sent = server.receive(*[raw.head(sid, POST, end=False) for sid in (1, 3, 5, 7, 9)])
    assert resets(sent) == {7: ErrorCode.REFUSED_STREAM, 9: ErrorCode.REFUSED_STREAM}
    assert len(server.connection.streams) == 3
    server.receive(*[raw.data(sid, b"x") for sid in (1, 3, 5)])
    assert [stream.body for stream in server.seen] == [b"x"] * 3


def test_rapid_reset_never_leaves_more_handlers_than_streams() -> None:
    server, raw = ready(Limits(streams=10))
    for at in range(400):
        server.receive(raw.head(2 * at + 1, POST), frames.rst_stream(2 * at + 1, ErrorCode.CANCEL))
        assert sum(stream.reset_code is None for stream in server.seen) <= 10


@pytest.mark.parametrize("part", [b"", b"x", b"x" * 16_384])
def test_a_continuation_flood_is_cut_off(part: bytes) -> None:
    server, _ = ready()
    server.receive(frames.frame(codes.HEADERS, 0, 1, part))
    sent = server.receive(*[frames.frame(codes.CONTINUATION, 0, 1, part)] * MAX_CONTINUATIONS)
    assert goaway_code(sent) == ErrorCode.ENHANCE_YOUR_CALM


def test_the_start_of_an_unfinished_block_is_known() -> None:
    server, raw = ready()
    block = raw.block(GET)
    server.now = 200.0
    server.receive(frames.frame(codes.HEADERS, codes.END_STREAM, 1, block[:5]))
    assert server.connection.block_since == 200.0
    server.receive(frames.frame(codes.CONTINUATION, codes.END_HEADERS, 1, block[5:]))
    assert server.connection.block_since is None
    assert server.seen[0].ended


def test_an_hpack_bomb_costs_the_connection_little() -> None:
    server, raw = ready()
    server.receive(raw.head(1, [*GET, (b"x", b"v" * 3900)]))
    bomb = raw.block(GET) + raw.block([(b"x", b"v" * 3900)]) * 10_000
    sent = server.receive(frames.headers(3, bomb, True, 16_384))
    assert goaway_code(sent) == ErrorCode.ENHANCE_YOUR_CALM
    assert len(server.seen) == 1


def test_headers_above_the_limit_are_marked_and_above_all_measure_end_the_connection() -> None:
    server, raw = ready(Limits(header_bytes=4096))
    server.receive(raw.head(1, [*GET, (b"x", b"v" * 5000)]))
    assert server.seen[0].head.oversize
    sent = server.receive(raw.head(3, [*GET, (b"x", b"w" * 20_000)]))
    assert goaway_code(sent) == ErrorCode.ENHANCE_YOUR_CALM


def test_a_client_that_dribbles_credit_is_cut_off() -> None:
    server, raw = Server(), RawClient()
    server.receive(raw.hello({codes.INITIAL_WINDOW_SIZE: 0}), raw.head(1, GET))
    server.seen[0].send_headers(OK)
    server.seen[0].send_data(b"x" * 100_000, end=True)
    for _ in range(3000):
        sent = server.receive(frames.window_update(1, 1))
        if server.connection.closed:
            break
    assert goaway_code(sent) == ErrorCode.ENHANCE_YOUR_CALM
