"""Flow control both ways, and the memory it bounds."""

from shoal.core.wire.http2 import Connection, ErrorCode, Limits, codes, encode_block, frames
from shoal.core.wire.http2.receiver import UNREAD_BYTES
from shoal.core.wire.http2.sender import TURN_BYTES
from support.http2_wire import GET, POST, Frame, RawClient, Recorder, Server, goaway_code, kinds, resets, split

OK = encode_block([(b":status", b"200")])
FULL = 16_384


def ready(limits: Limits | None = None, window: int = 65_535, frame: int = FULL) -> tuple[Server, RawClient]:
    server = Server(limits)
    server.receive(RawClient().hello({codes.INITIAL_WINDOW_SIZE: window, codes.MAX_FRAME_SIZE: frame}))
    return server, RawClient()


def sizes(sent: list[Frame]) -> list[int]:
    return [len(payload) for kind, _, _, payload in sent if kind == codes.DATA]


def credit(sent: list[Frame]) -> dict[int, int]:
    out: dict[int, int] = {}
    for kind, _, sid, payload in sent:
        if kind == codes.WINDOW_UPDATE:
            out[sid] = out.get(sid, 0) + int.from_bytes(payload, "big")
    return out


def sent_by(connection: Connection) -> list[Frame]:
    return split(connection.sender.take())


# Sending


def test_a_body_waits_for_credit_and_goes_on() -> None:
    server, raw = ready(window=1000)
    server.receive(raw.head(1, GET))
    server.connection.sender.answer(server.seen[0], OK, b"", b"x" * 2500, b"")
    assert sizes(sent_by(server.connection)) == [1000]
    assert server.connection.sender.queued == 1500
    assert sizes(server.receive(frames.window_update(1, 1200))) == [1200]
    last = server.receive(frames.window_update(1, 5000))
    assert (sizes(last), last[-1][1]) == ([300], codes.END_STREAM)
    assert not server.connection.streams


def test_the_connection_window_is_shared() -> None:
    server, raw = ready(window=2**20)
    server.receive(raw.head(1, GET), raw.head(3, GET))
    for stream in server.seen:
        server.connection.sender.answer(stream, OK, b"", b"x" * 50_000, b"")
    assert sum(sizes(sent_by(server.connection))) == 65_535
    assert sum(sizes(server.receive(frames.window_update(0, 100_000)))) == 100_000 - 65_535


def test_a_larger_initial_window_frees_what_waits_and_a_smaller_one_may_go_below_zero() -> None:
    server, raw = ready(window=1000)
    server.receive(raw.head(1, GET))
    server.connection.sender.answer(server.seen[0], OK, b"", b"x" * 5000, b"")
    sent_by(server.connection)
    assert sizes(server.receive(frames.settings({codes.INITIAL_WINDOW_SIZE: 100}))) == []
    assert server.seen[0].send_window == -900
    assert sizes(server.receive(frames.settings({codes.INITIAL_WINDOW_SIZE: 3000}))) == [2000]


def test_frames_are_as_large_as_the_peer_allows() -> None:
    server, raw = ready(window=2**20, frame=20_000)
    server.receive(raw.head(1, GET))
    server.connection.sender.answer(server.seen[0], OK, b"", b"x" * 45_000, b"")
    assert sizes(sent_by(server.connection)) == [20_000, 20_000, 5000]


def test_trailers_come_after_all_data() -> None:
    server, raw = ready(window=10)
    server.receive(raw.head(1, GET))
    stream = server.seen[0]
    stream.send_headers(OK)
    stream.send_data(b"x" * 15)
    stream.send_trailers(encode_block([(b"grpc-status", b"0")]))
    stream.send_data(b"too late")
    assert kinds(sent_by(server.connection)) == [codes.HEADERS, codes.DATA]
    assert kinds(server.receive(frames.window_update(1, 5))) == [codes.DATA, codes.HEADERS]
    assert not server.connection.streams


def test_a_turn_is_bounded_and_streams_take_turns() -> None:
    server, raw = ready(window=2**30)
    server.receive(frames.window_update(0, 2**30), raw.head(1, GET), raw.head(3, GET))
    for stream in server.seen:
        server.connection.sender.answer(stream, OK, b"", b"x" * (3 * TURN_BYTES // 2), b"")
    sender = server.connection.sender
    first = sent_by(server.connection)
    assert sum(sizes(first)) == TURN_BYTES
    sender.pump()
    second = sent_by(server.connection)
    assert {sid for kind, _, sid, _ in second if kind == codes.DATA} == {1, 3}
    while sender.queued:
        sender.pump()
        sent_by(server.connection)
    assert not server.connection.streams


def test_nothing_but_control_goes_to_a_full_transport() -> None:
    server, raw = ready()
    server.connection.sender.paused = True
    server.receive(raw.head(1, GET))
    server.connection.sender.answer(server.seen[0], OK, b"", b"x", b"")
    assert kinds(sent_by(server.connection)) == [codes.HEADERS]
    server.connection.sender.paused = False
    server.connection.sender.pump()
    assert sizes(sent_by(server.connection)) == [1]


def test_what_a_dead_stream_had_queued_is_dropped() -> None:
    server, raw = ready(window=0)
    server.receive(raw.head(1, GET))
    server.connection.sender.answer(server.seen[0], OK, b"", b"x" * 5000, b"")
    server.receive(frames.rst_stream(1, ErrorCode.CANCEL))
    assert server.connection.sender.queued == 0
    assert not server.connection.sender.blocked


def test_a_sender_hears_when_its_queue_is_empty() -> None:
    server, raw = ready(window=10)
    server.receive(raw.head(1, GET))
    stream = server.seen[0]
    stream.send_headers(OK)
    stream.send_data(b"x" * 15)
    assert stream.drained == 0
    server.receive(frames.window_update(1, 100))
    assert stream.drained == 1


# Receiving


def test_credit_comes_back_in_batches() -> None:
    server, raw = ready(Limits(stream_window=100_000, connection_window=200_000))
    head = raw.head(1, POST, end=False)
    sent = server.receive(head, *[raw.data(1, b"x" * 10_000, end=False) for _ in range(6)])
    assert credit(sent) == {1: 60_000, 0: 50_000}


def test_a_large_body_never_waits_for_credit() -> None:
    server, raw = ready()
    server.receive(raw.head(1, POST, end=False))
    window, total = 1024 * 1024, 8 * 1024 * 1024
    for _ in range(total // FULL):
        window -= FULL
        assert window > 512 * 1024
        window += credit(server.receive(raw.data(1, b"x" * FULL, end=False))).get(1, 0)
    server.receive(raw.data(1, b""))
    assert len(server.seen[0].body) == total
    assert server.connection.receiver.held == 0


def test_more_than_the_stream_window_is_a_fault_of_the_stream() -> None:
    server, raw = ready(Limits(stream_window=100_000, held_bytes=50_000))
    server.receive(raw.head(1, POST, end=False), raw.head(3, POST, end=False))
    server.receive(*[raw.data(1, b"x" * FULL, end=False) for _ in range(4)])
    sent = server.receive(*[raw.data(3, b"x" * FULL, end=False) for _ in range(7)])
    assert 3 in resets(sent)
    assert server.connection.streams.keys() == {1}


def test_more_than_the_connection_window_ends_the_connection() -> None:
    server, _ = ready(Limits(stream_window=10_000, connection_window=70_000))
    server.connection.receiver._window = 5
    sent = server.receive(frames.frame(codes.DATA, 0, 1, b"123456"))
    assert goaway_code(sent) == ErrorCode.FLOW_CONTROL_ERROR


def test_beyond_the_memory_only_the_oldest_body_goes_on_and_all_end_well() -> None:
    limits = Limits(stream_window=64 * 1024, connection_window=1024 * 1024, held_bytes=128 * 1024)
    server, raw = ready(limits)
    ids = (1, 3, 5)
    window = dict.fromkeys(ids, limits.stream_window)
    left = dict.fromkeys(ids, 150 * 1024)
    server.receive(*[raw.head(sid, POST, end=False) for sid in ids])
    for _ in range(200):
        for sid in ids:
            size = min(left[sid], window[sid], 8192)
            if not size:
                continue
            left[sid] -= size
            window[sid] -= size
            sent = server.receive(raw.data(sid, b"x" * size, end=not left[sid]))
            assert not resets(sent)
            for back, more in credit(sent).items():
                if back:
                    window[back] += more
        assert server.connection.receiver.held <= 2 * limits.held_bytes + limits.connection_window
    assert [len(stream.body) for stream in server.seen] == [150 * 1024] * 3


def test_an_empty_part_of_a_body_holds_nothing() -> None:
    server, raw = ready()
    server.receive(raw.head(1, POST, end=False), raw.data(1, b"", end=False), raw.data(1, b""))
    assert not server.connection.receiver.holders


def test_many_bodies_at_once_are_refused_beyond_twice_the_memory() -> None:
    limits = Limits(stream_window=64 * 1024, connection_window=100 * 1024, held_bytes=100 * 1024)
    server, raw = ready(limits)
    for sid in range(1, 41, 2):
        server.receive(raw.head(sid, POST, end=False), *[raw.data(sid, b"x" * FULL, end=False) for _ in range(3)])
        assert server.connection.receiver.held <= 300 * 1024 + FULL
    assert [stream.overflowed for stream in server.seen[:4]] == [False] * 4
    assert server.seen[-1].overflowed


def test_a_streaming_call_whose_answers_are_not_read_gets_no_more_credit() -> None:
    class Consumer(Recorder):
        __slots__ = ()

        def on_data(self, data: bytes, end: bool) -> None:
            self.release()

    server = Server(Limits(stream_window=64 * 1024))

    def accept(connection: Connection, sid: int, head: object) -> Consumer:
        stream = Consumer()
        stream._begin(connection, sid, -1)
        server.seen.append(stream)
        return stream

    server.connection._accept = accept
    raw = RawClient()
    server.receive(raw.hello({codes.INITIAL_WINDOW_SIZE: 0}), raw.head(1, POST, end=False))
    assert credit(server.receive(raw.data(1, b"x" * FULL, end=False))) == {1: FULL}
    server.seen[0].send_headers(OK)
    server.seen[0].send_data(b"a" * (UNREAD_BYTES + 1))
    sent_by(server.connection)
    assert credit(server.receive(raw.data(1, b"x" * FULL, end=False))) == {}
    assert server.connection.receiver.is_parked(server.seen[0])
    sent = server.receive(frames.window_update(1, UNREAD_BYTES + 1), frames.window_update(0, UNREAD_BYTES))
    assert credit(sent) == {1: FULL}
