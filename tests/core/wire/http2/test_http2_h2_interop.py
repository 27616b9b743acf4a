"""Our ends against the reference implementation `h2`, in memory, both ways round."""

from __future__ import annotations

from collections.abc import Callable

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.core.wire.http2 import Connection, ErrorCode, Limits, encode_block
from support.http2_wire import GET, POST, Recorder, Server

OK = encode_block([(b":status", b"200"), (b"content-type", b"text/plain")])


class H2:
    """The reference, as either end; what it heard is in `events`."""

    def __init__(self, client: bool) -> None:
        config = h2.config.H2Configuration(client_side=client, header_encoding=None)
        self.connection = h2.connection.H2Connection(config)
        self.events: list[h2.events.Event] = []
        self.bodies: dict[int, bytes] = {}
        self.pending: dict[int, bytes] = {}
        self.connection.initiate_connection()

    def receive(self, data: bytes) -> None:
        for event in self.connection.receive_data(data):
            self.events.append(event)
            if isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        for sid in list(self.pending):
            self.push(sid)

    def send(self, sid: int, body: bytes) -> None:
        self.pending[sid] = body
        self.push(sid)

    def push(self, sid: int) -> None:
        while sid in self.pending:
            body = self.pending[sid]
            room = min(self.connection.local_flow_control_window(sid), self.connection.max_outbound_frame_size)
            if len(body) <= room:
                self.connection.send_data(sid, self.pending.pop(sid), end_stream=True)
            elif room:
                self.connection.send_data(sid, body[:room])
                self.pending[sid] = body[room:]
            else:
                return

    def heard(self, kind: type[h2.events.Event]) -> list[h2.events.Event]:
        return [event for event in self.events if isinstance(event, kind)]


def carry(ours: Connection, theirs: H2) -> None:
    """Carry bytes until both ends are silent."""
    while True:
        ours.sender.pump()
        out, back = ours.sender.take(), theirs.connection.data_to_send()
        if not out and not back:
            return
        theirs.receive(out)
        ours.receive(back, 100.0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 200_000), st.booleans()), min_size=1, max_size=5))
def test_h2_as_client_gets_its_answers(calls: list[tuple[int, int, bool]]) -> None:
    server, client = Server(Limits(stream_window=70_000, connection_window=80_000)), H2(client=True)
    for number, (size, _, _) in enumerate(calls):
        sid = 2 * number + 1
        client.connection.send_headers(sid, [*POST, (b"x-number", b"%d" % number)])
        client.send(sid, b"q" * size)
    carry(server.connection, client)
    for (_, size, trailers), stream in zip(calls, server.seen, strict=True):
        stream.send_headers(OK)
        stream.send_data(b"a" * size, end=not trailers)
        if trailers:
            stream.send_trailers(encode_block([(b"x-sum", b"1")]))
    carry(server.connection, client)
    assert [len(stream.body) for stream in server.seen] == [size for size, _, _ in calls]
    assert [stream.head.headers[b"x-number"] for stream in server.seen] == [b"%d" % at for at in range(len(calls))]
    for number, (_, size, _) in enumerate(calls):
        assert client.bodies.get(2 * number + 1, b"") == b"a" * size
    assert len(client.heard(h2.events.StreamEnded)) == len(calls)
    assert len(client.heard(h2.events.TrailersReceived)) == sum(trailers for _, _, trailers in calls)
    assert not server.connection.streams


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 200_000)), min_size=1, max_size=5))
def test_h2_as_server_is_understood(calls: list[tuple[int, int]]) -> None:
    ours, server = Connection(Limits(stream_window=70_000, connection_window=80_000), lambda: None), H2(client=False)
    streams = []
    for size, _ in calls:
        stream = Recorder()
        ours.start(stream, encode_block(POST))
        stream.send_data(b"q" * size, end=True)
        streams.append(stream)
    carry(ours, server)
    for number, (_, size) in enumerate(calls):
        sid = 2 * number + 1
        server.connection.send_headers(sid, [(b":status", b"200"), (b"x-number", b"%d" % number)])
        server.send(sid, b"a" * size)
    carry(ours, server)
    for number, (stream, (size, answer)) in enumerate(zip(streams, calls, strict=True)):
        assert server.bodies.get(2 * number + 1, b"") == b"q" * size
        assert stream.body == b"a" * answer
        assert stream.head is not None
        assert stream.head.headers[b"x-number"] == b"%d" % number
        assert stream.ended == 1


def joined() -> tuple[Server, H2]:
    server, client = Server(), H2(client=True)
    carry(server.connection, client)
    return server, client


def test_the_greeting_is_understood() -> None:
    _, client = joined()
    assert client.connection.remote_settings.max_concurrent_streams == 256
    assert client.connection.remote_settings.initial_window_size == 1024 * 1024
    assert client.connection.outbound_flow_control_window == 16 * 1024 * 1024
    assert client.heard(h2.events.SettingsAcknowledged)


def test_pings_resets_and_goaway_are_understood() -> None:
    server, client = joined()
    client.connection.ping(b"12345678")
    client.connection.send_headers(1, GET, end_stream=True)
    client.connection.send_headers(3, GET, end_stream=True)
    carry(server.connection, client)
    client.connection.reset_stream(1, ErrorCode.CANCEL)
    server.connection.reset(server.seen[1], ErrorCode.REFUSED_STREAM)
    carry(server.connection, client)
    server.connection.shutdown()
    client.receive(server.connection.sender.take()[:17])  # `h2` wants to hear nothing after a GOAWAY
    assert server.seen[0].reset_code == ErrorCode.CANCEL
    assert client.heard(h2.events.PingAckReceived)
    assert client.heard(h2.events.StreamReset)[0].error_code == ErrorCode.REFUSED_STREAM
    assert client.heard(h2.events.ConnectionTerminated)


def test_a_settings_change_moves_the_windows_of_open_streams() -> None:
    server, client = joined()
    client.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
    client.connection.send_headers(1, GET, end_stream=True)
    carry(server.connection, client)
    server.connection.sender.answer(server.seen[0], OK, b"", b"x" * 1000, b"")
    carry(server.connection, client)
    client.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 100_000})
    carry(server.connection, client)
    assert client.bodies[1] == b"x" * 1000


moves: dict[str, Callable[[h2.connection.H2Connection], None]] = {
    "priority": lambda c: c.prioritize(1, weight=20),
    "padding": lambda c: c.send_data(1, b"abc", pad_length=50),
    "huge headers": lambda c: c.send_headers(3, [*GET, *[(b"x-%d" % at, b"v" * 200) for at in range(150)]]),
}


@pytest.mark.parametrize("name", moves)
def test_less_common_moves_are_understood(name: str) -> None:
    server, client = joined()
    client.connection.send_headers(1, POST)
    moves[name](client.connection)
    client.connection.send_data(1, b"end", end_stream=True)
    carry(server.connection, client)
    assert server.seen[0].ended == 1
    assert not server.connection.closed
