"""What each rule of HTTP/2 costs whom, told in raw frames."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.core.wire.http2 import Connection, ErrorCode, Limits, codes, encode_block, frames
from support.http2_wire import GET, POST, RawClient, Recorder, Server, goaway_code, kinds, resets, split

HELLO = RawClient().hello()
OK = encode_block([(b":status", b"200")])


def ready(limits: Limits | None = None) -> tuple[Server, RawClient]:
    server = Server(limits)
    server.receive(HELLO)
    return server, RawClient()


def test_the_server_greets_and_acknowledges() -> None:
    sent = Server().receive(HELLO)
    assert kinds(sent) == [codes.SETTINGS, codes.WINDOW_UPDATE, codes.SETTINGS]
    greeting = dict(frames.parse_settings(sent[0][3]))
    assert greeting[codes.MAX_CONCURRENT_STREAMS] == 256
    assert greeting[codes.INITIAL_WINDOW_SIZE] == 1024 * 1024
    assert sent[2][1] == codes.ACK


def test_a_request_comes_in_and_an_answer_goes_out() -> None:
    server, raw = ready()
    server.receive(raw.head(1, POST, end=False), raw.data(1, b"he", end=False), raw.data(1, b"llo"))
    (stream,) = server.seen
    assert (stream.body, stream.ended) == (b"hello", 1)
    server.connection.sender.answer(stream, OK, b"p", b"body", b"")
    sent = split(server.connection.sender.take())
    assert [(kind, flags, sid) for kind, flags, sid, _ in sent] == [(1, 4, 1), (0, 1, 1)]
    assert sent[1][3] == b"pbody"
    assert not server.connection.streams


def test_padding_and_priority_are_taken_off() -> None:
    server, raw = ready()
    block = raw.block(POST)
    flags = codes.PADDED | codes.PRIORITY_FLAG | codes.END_HEADERS
    head = frames.frame(codes.HEADERS, flags, 1, b"\x03" + b"\x00\x00\x00\x00\x10" + block + b"\0\0\0")
    server.receive(head, frames.frame(codes.DATA, codes.PADDED | codes.END_STREAM, 1, b"\x02hello\0\0"))
    assert server.seen[0].body == b"hello"


def test_trailers_end_a_request() -> None:
    server, raw = ready()
    server.receive(raw.head(1, POST, end=False), raw.data(1, b"x", end=False), raw.head(1, [(b"x-checksum", b"1")]))
    assert server.seen[0].trailers == {b"x-checksum": b"1"}


def test_unknown_frames_and_settings_are_ignored() -> None:
    server, raw = ready()
    sent = server.receive(frames.settings({0x99: 1}), frames.frame(0x77, 0, 0, b"?"), raw.head(1, GET))
    assert goaway_code(sent) is None
    assert server.seen[0].ended


def test_ping_is_answered() -> None:
    server, _ = ready()
    assert server.receive(frames.ping(b"12345678")) == [(codes.PING, codes.ACK, 0, b"12345678")]


raw_faults = {
    "data before settings": (codes.PREFACE + frames.frame(codes.DATA, 0, 1, b"x"), ErrorCode.PROTOCOL_ERROR),
    "wrong preface": (b"GET / HTTP/1.1\r\n\r\n", ErrorCode.PROTOCOL_ERROR),
    "data on stream 0": (HELLO + frames.frame(codes.DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
    "data on an idle stream": (HELLO + frames.frame(codes.DATA, 0, 1, b"x"), ErrorCode.PROTOCOL_ERROR),
    "headers on stream 0": (HELLO + RawClient().head(0, GET), ErrorCode.PROTOCOL_ERROR),
    "an even stream": (HELLO + RawClient().head(2, GET), ErrorCode.PROTOCOL_ERROR),
    "push promise": (HELLO + frames.frame(codes.PUSH_PROMISE, 4, 1, b"\0\0\0\2"), ErrorCode.PROTOCOL_ERROR),
    "continuation out of place": (HELLO + frames.frame(codes.CONTINUATION, 4, 1, b""), ErrorCode.PROTOCOL_ERROR),
    "a frame inside a block": (
        HELLO + frames.frame(codes.HEADERS, 0, 1, b"") + frames.ping(b"12345678"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a continuation of another": (
        HELLO + frames.frame(codes.HEADERS, 0, 1, b"") + frames.frame(codes.CONTINUATION, 4, 3, b""),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "settings on a stream": (HELLO + frames.frame(codes.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
    "settings of odd length": (HELLO + frames.frame(codes.SETTINGS, 0, 0, b"12345"), ErrorCode.FRAME_SIZE_ERROR),
    "a settings ack with content": (HELLO + frames.frame(codes.SETTINGS, 1, 0, b"123456"), ErrorCode.FRAME_SIZE_ERROR),
    "a short ping": (HELLO + frames.frame(codes.PING, 0, 0, b"1234567"), ErrorCode.FRAME_SIZE_ERROR),
    "ping on a stream": (HELLO + frames.frame(codes.PING, 0, 1, b"12345678"), ErrorCode.PROTOCOL_ERROR),
    "goaway on a stream": (HELLO + frames.frame(codes.GOAWAY, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "a short goaway": (HELLO + frames.frame(codes.GOAWAY, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    "reset of an idle stream": (HELLO + frames.rst_stream(1, 8), ErrorCode.PROTOCOL_ERROR),
    "a short reset": (HELLO + frames.frame(codes.RST_STREAM, 0, 1, b"123"), ErrorCode.FRAME_SIZE_ERROR),
    "credit for an idle stream": (HELLO + frames.window_update(1, 1), ErrorCode.PROTOCOL_ERROR),
    "credit of nothing": (HELLO + frames.window_update(0, 0), ErrorCode.PROTOCOL_ERROR),
    "short credit": (HELLO + frames.frame(codes.WINDOW_UPDATE, 0, 0, b"123"), ErrorCode.FRAME_SIZE_ERROR),
    "credit beyond measure": (HELLO + frames.window_update(0, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR),
    "priority of stream 0": (HELLO + frames.frame(codes.PRIORITY, 0, 0, bytes(5)), ErrorCode.PROTOCOL_ERROR),
    "a frame too large": (HELLO + b"\x00\x40\x01\x00\x00\x00\x00\x00\x01", ErrorCode.FRAME_SIZE_ERROR),
    "not HPACK": (HELLO + frames.frame(codes.HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff"), ErrorCode.COMPRESSION_ERROR),
    "padding too long": (
        HELLO + RawClient().head(1, POST, end=False) + frames.frame(codes.DATA, 8, 1, b"\x09abc"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a stream that depends on itself": (
        HELLO + frames.frame(codes.HEADERS, 0x25, 1, b"\0\0\0\1\0" + RawClient().block(GET)),
        ErrorCode.PROTOCOL_ERROR,
    ),
}


@pytest.mark.parametrize("name", raw_faults)
def test_a_broken_rule_of_the_connection_ends_it(name: str) -> None:
    data, code = raw_faults[name]
    server = Server()
    sent = server.receive(data)
    assert goaway_code(sent) == code
    assert server.connection.closed
    assert server.receive(frames.ping(b"12345678")) == []


stream_faults = {
    "malformed head": (lambda raw: raw.head(1, [*GET, (b"connection", b"close")]), ErrorCode.PROTOCOL_ERROR),
    "body longer than declared": (
        lambda raw: raw.head(1, [*POST, (b"content-length", b"2")], end=False) + raw.data(1, b"abc", end=False),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "body shorter than declared": (
        lambda raw: raw.head(1, [*POST, (b"content-length", b"4")], end=False) + raw.data(1, b"abc"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "no body though declared": (
        lambda raw: raw.head(1, [*POST, (b"content-length", b"4")]),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "trailers too early": (
        lambda raw: raw.head(1, [*POST, (b"content-length", b"4")], end=False) + raw.head(1, [(b"x", b"1")]),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "trailers that do not end": (
        lambda raw: raw.head(1, POST, end=False) + raw.head(1, [(b"x", b"1")], end=False),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "data after the end": (lambda raw: raw.head(1, POST) + raw.data(1, b"x"), ErrorCode.STREAM_CLOSED),
    "headers after the end": (lambda raw: raw.head(1, POST) + raw.head(1, [(b"x", b"1")]), ErrorCode.STREAM_CLOSED),
    "credit of nothing": (
        lambda raw: raw.head(1, POST, end=False) + frames.window_update(1, 0),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "credit beyond measure": (
        lambda raw: raw.head(1, POST, end=False) + frames.window_update(1, 2**31 - 1),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "a short priority": (
        lambda raw: raw.head(1, POST, end=False) + frames.frame(codes.PRIORITY, 0, 1, b"1234"),
        ErrorCode.FRAME_SIZE_ERROR,
    ),
}


@pytest.mark.parametrize("name", stream_faults)
def test_a_broken_rule_of_a_stream_costs_that_stream_only(name: str) -> None:
    make, code = stream_faults[name]
    server, raw = ready()
    sent = server.receive(make(raw), raw.head(3, GET))
    assert resets(sent) == {1: code}
    assert goaway_code(sent) is None
    assert server.seen[-1].ended == 1
    assert set(server.connection.streams) == {3}


def test_a_lost_connection_is_told_to_every_stream_once() -> None:
    server, raw = ready()
    server.receive(raw.head(1, GET), raw.head(3, POST, end=False), frames.frame(codes.PING, 0, 3, bytes(8)))
    assert [stream.reset_code for stream in server.seen] == [ErrorCode.PROTOCOL_ERROR] * 2
    server.connection.lose()


def test_a_reset_is_told_to_its_stream() -> None:
    server, raw = ready()
    server.receive(raw.head(1, GET), frames.rst_stream(1, ErrorCode.CANCEL))
    assert server.seen[0].reset_code == ErrorCode.CANCEL
    assert not server.connection.streams


def test_an_early_answer_tells_the_client_to_stop_sending() -> None:
    server, raw = ready()
    server.receive(raw.head(1, POST, end=False))
    server.connection.sender.answer(server.seen[0], OK, b"", b"no", b"")
    sent = split(server.connection.sender.take())
    assert resets(sent) == {1: ErrorCode.NO_ERROR}
    assert resets(server.receive(raw.data(1, b"still coming", end=False))) == {}


def test_headers_of_a_forgotten_stream_still_reach_the_table() -> None:
    server, raw = ready()
    server.receive(raw.head(1, POST, end=False))
    server.connection.reset(server.seen[0], ErrorCode.CANCEL)
    server.receive(raw.head(1, [(b"x-new", b"entry")]))
    server.receive(raw.head(3, [*GET, (b"x-new", b"entry")]))
    assert server.seen[1].head.headers[b"x-new"] == b"entry"


def test_shutdown_serves_what_comes_until_the_ping_returns() -> None:
    server, raw = ready()
    server.receive(raw.head(1, GET))
    server.connection.shutdown()
    first = split(server.connection.sender.take())
    assert kinds(first) == [codes.GOAWAY, codes.PING]
    assert int.from_bytes(first[0][3][:4], "big") == codes.LARGEST_STREAM_ID
    sent = server.receive(raw.head(3, GET), frames.ping(first[1][3], ack=True), raw.head(5, GET))
    assert int.from_bytes(sent[-1][3][:4], "big") == 3
    assert set(server.connection.streams) == {1, 3}
    assert server.connection.drained
    assert not server.connection.closed


# Both of our ends, joined


class Client:
    def __init__(self, limits: Limits | None = None) -> None:
        self.connection = Connection(limits or Limits(), lambda: None)

    def call(self, body: bytes | None, content_length: bool = False) -> Recorder:
        stream = Recorder()
        fields = [*POST, (b"content-length", b"%d" % len(body))] if body is not None and content_length else POST
        self.connection.start(stream, encode_block(fields), end=body is None)
        if body is not None:
            stream.send_data(body, end=True)
        return stream


def exchange(one: Connection, other: Connection, cuts: list[int] | None = None) -> None:
    """Carry bytes both ways, cut into reads of the given sizes, until both are silent."""
    sizes = iter(cuts or [])
    while True:
        moved = False
        for source, sink in ((one, other), (other, one)):
            source.sender.pump()
            data = source.sender.take()
            moved |= bool(data)
            while data:
                size = next(sizes, len(data)) or 1
                sink.receive(data[:size], 1.0)
                data = data[size:]
        if not moved:
            return


@settings(max_examples=60, deadline=None)
@given(
    bodies=st.lists(st.one_of(st.none(), st.integers(0, 150_000)), min_size=1, max_size=6),
    answers=st.lists(st.integers(0, 150_000), min_size=6, max_size=6),
    cuts=st.lists(st.integers(1, 5000), max_size=200),
    window=st.integers(20_000, 200_000),
)
def test_bodies_of_any_size_cross_both_ways(
    bodies: list[int | None], answers: list[int], cuts: list[int], window: int
) -> None:
    limits = Limits(stream_window=window, connection_window=max(65_536, window))
    server, client = Server(limits), Client(limits)
    calls = [client.call(None if size is None else bytes([number]) * size) for number, size in enumerate(bodies)]
    exchange(client.connection, server.connection, cuts)
    for number, stream in enumerate(server.seen):
        assert stream.ended == 1
        stream.send_headers(OK)
        stream.send_data(bytes([number]) * answers[number])
        stream.send_trailers(encode_block([(b"grpc-status", b"0")]))
    exchange(client.connection, server.connection, cuts[::-1])
    assert [len(each.body) for each in server.seen] == [size or 0 for size in bodies]
    for number, call in enumerate(calls):
        assert call.body == bytes([number]) * answers[number]
        assert call.trailers == {b"grpc-status": b"0"}
    for connection in (client.connection, server.connection):
        assert not connection.streams
        assert connection.receiver.held == connection.sender.queued == 0
        assert not connection.closed


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 300), max_size=300), st.integers(0, 2**32 - 1))
def test_any_fragmentation_tells_the_same_story(cuts: list[int], seed: int) -> None:
    raw = RawClient()
    stream = b"".join([
        raw.hello({codes.INITIAL_WINDOW_SIZE: 70_000}), raw.head(1, POST, end=False), raw.data(1, b"abc", end=False),
        frames.ping(b"12345678"), raw.head(3, [*GET, (b"x", b"v" * (seed % 20_000))]), raw.data(1, b"d" * 700),
        raw.head(5, [*POST, (b"content-length", b"4")], end=False), raw.data(5, b"12"), frames.rst_stream(3, 8),
        raw.head(7, POST, end=False), frames.window_update(7, 1000),
    ])  # fmt: skip
    whole, parts, at = Server(), Server(), 0
    expected = whole.receive(stream)
    got = []
    for cut in [*cuts, len(stream)]:
        got += parts.receive(stream[at : at + cut])
        at += cut
    assert got == expected
    story = [(each.body, each.ended, each.reset_code, each.head.headers) for each in whole.seen]
    assert [(each.body, each.ended, each.reset_code, each.head.headers) for each in parts.seen] == story


@given(st.binary(max_size=400), st.lists(st.tuples(st.integers(0, 10), st.integers(0, 255), st.binary(max_size=40))))
def test_junk_never_raises(junk: bytes, script: list[tuple[int, int, bytes]]) -> None:
    server, raw = ready()
    server.receive(raw.head(1, POST, end=False), raw.head(3, GET))
    server.receive(
        *[
            frames.frame(kind, flags, 1 + 2 * (number % 3), payload)
            for number, (kind, flags, payload) in enumerate(script)
        ]
    )
    server.receive(junk)
    server.connection.lose()
    assert not server.connection.streams
    assert all((stream.ended > 0) or stream.reset_code is not None for stream in server.seen)


# The client's end


def test_a_client_hears_of_interim_and_final_heads() -> None:
    server, client = Server(), Client()
    call = client.call(b"x")
    exchange(client.connection, server.connection)
    server.seen[0].send_headers(encode_block([(b":status", b"103")]))
    server.seen[0].send_headers(OK, end=True)
    exchange(client.connection, server.connection)
    assert call.head is not None
    assert call.head.status == 200
    assert call.ended == 1


def test_a_client_obeys_the_servers_limit_of_streams() -> None:
    server, client = Server(Limits(streams=2)), Client()
    assert client.connection.capacity == 100
    exchange(client.connection, server.connection)
    assert client.connection.capacity == 2
    client.call(None)
    assert client.connection.capacity == 1


def test_goaway_loses_only_what_the_server_did_not_see() -> None:
    server, client = Server(), Client()
    first = client.call(None)
    exchange(client.connection, server.connection)
    server.connection.shutdown()
    server.connection.finish_shutdown()
    second = client.call(None)
    exchange(client.connection, server.connection)
    assert second.reset_code == ErrorCode.REFUSED_STREAM
    assert first.reset_code is None
    assert client.connection.capacity == 0
    server.seen[0].send_headers(OK, end=True)
    exchange(client.connection, server.connection)
    assert first.ended


def test_a_response_shorter_than_declared_is_a_fault() -> None:
    server, client = Server(), Client()
    call = client.call(None)
    exchange(client.connection, server.connection)
    server.seen[0].send_headers(encode_block([(b":status", b"200"), (b"content-length", b"9")]))
    server.seen[0].send_data(b"short", end=True)
    exchange(client.connection, server.connection)
    assert call.reset_code == ErrorCode.PROTOCOL_ERROR
