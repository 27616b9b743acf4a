"""One HTTP/1.1 connection on a fake transport and a manual clock."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.clock import ManualClock
from shoal.serving.gateway.exchange import Exchange, WireLimits
from shoal.serving.gateway.sockets.http1 import Http1Connection
from support.http1_vectors import ACCEPTED, REFUSED
from support.transports import FakeTransport

LIMITS = WireLimits(body_bytes=100_000, header_bytes=4096, target_bytes=300, pipeline=4, write_buffer_bytes=1000)
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body: bytes, *headers: bytes) -> bytes:
    lines = (b"POST /x HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Bench:
    """A connection, what it writes, and the exchanges that reached the application."""

    def __init__(self, *, answer=None, limits: WireLimits = LIMITS) -> None:
        self.transport = FakeTransport()
        self.clock = ManualClock()
        self.exchanges: list[Exchange] = []
        self.closed: list[object] = []
        self.gone: list[Exchange] = []
        self._answer = answer
        self.connection = Http1Connection(
            self.transport, http=self._http, limits=limits, clock=self.clock, on_close=self.closed.append
        )

    def _http(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        exchange.on_gone = lambda: self.gone.append(exchange)
        if self._answer is not None:
            self._answer(exchange)

    def receive(self, data: bytes) -> bytes:
        self.connection.data_received(data)
        return self.transport.take()

    def later(self, seconds: float) -> bytes:
        self.clock.advance(seconds)
        self.connection.sweep(self.clock())
        return self.transport.take()


def echo(exchange: Exchange) -> None:
    exchange.respond(200, exchange.body, b"text/plain")


def on_loop(test):
    """Run an async test on a loop of its own."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def problem(answer: bytes) -> dict:
    head, body = answer.split(b"\r\n\r\n", 1)
    assert b"x-content-type-options: nosniff" in head
    assert b"content-type: application/json" in head
    return json.loads(body)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@on_loop
async def test_a_request_is_answered_and_the_connection_stays():
    bench = Bench(answer=echo)
    for body in (b"one", b"two"):
        answer = bench.receive(post(body))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: ")
        assert answer.endswith(b"content-length: 3\r\n\r\n" + body)
    assert not bench.transport.closed
    assert not bench.connection.busy


@on_loop
async def test_the_exchange_tells_the_request():
    bench = Bench()
    bench.receive(b"POST /v2/x?y=%20 HTTP/1.1\r\nHOST: a\r\nX-A: 1\r\nX-a: 2\r\nContent-Length: 2\r\n\r\nh")
    arrived = bench.clock()
    bench.clock.advance(1)
    bench.receive(b"i")
    exchange = bench.exchanges[0]
    assert (exchange.method, exchange.target, bytes(exchange.body)) == (b"POST", b"/v2/x?y=%20", b"hi")
    assert exchange.headers == {b"host": b"a", b"x-a": b"2", b"content-length": b"2"}
    assert exchange.arrived == arrived


@on_loop
async def test_headers_are_shared_and_cannot_be_changed():
    bench = Bench(answer=echo)
    bench.receive(GET + GET)
    with pytest.raises(TypeError):
        bench.exchanges[0].headers[b"secret"] = b"x"


action = st.one_of(
    st.tuples(st.just("receive"), st.integers(1, 60)),
    st.tuples(st.just("answer"), st.integers(0, 11)),
    st.tuples(st.sampled_from(["block", "unblock", "sweep"]), st.just(0)),
)


@given(st.lists(action, max_size=60))
@on_loop
async def test_whatever_happens_each_request_gets_one_answer_in_order(actions):
    bench = Bench()
    stream = b"".join(post(b"%d" % i) for i in range(12))
    actions = [*actions, ("unblock", 0)]
    for what, number in actions:
        if what == "receive" and bench.transport.reading:
            bench.connection.data_received(stream[:number])
            stream = stream[number:]
        elif what == "answer" and number < len(bench.exchanges):
            bench.exchanges[number].respond(200, b"<%d>" % number)
        elif what == "block":
            bench.connection.pause_writing()
        elif what == "unblock":
            bench.connection.resume_writing()
        elif what == "sweep":
            bench.connection.sweep(bench.clock())
    for i in range(12):
        if bench.transport.reading and stream:
            bench.connection.data_received(stream)
            stream = b""
        bench.exchanges[i].respond(200, b"<%d>" % i)
    assert re.findall(rb"<(\d+)>", bench.transport.take()) == [b"%d" % i for i in range(12)]
    assert not bench.connection.busy
    assert bench.transport.reading


@given(st.permutations(range(4)))
@on_loop
async def test_pipelined_answers_go_out_in_order(order):
    bench = Bench()
    bench.receive(b"".join(post(b"%d" % i) for i in range(4)))
    for i in order:
        bench.exchanges[i].respond(200, b"answer %d" % i)
    assert re.findall(rb"answer (.)", bench.transport.take()) == [b"0", b"1", b"2", b"3"]
    assert not bench.connection.busy


@on_loop
async def test_reading_pauses_while_many_requests_wait():
    bench = Bench()
    bench.receive(GET * 6)
    assert len(bench.exchanges) == 4
    assert not bench.transport.reading
    bench.exchanges[0].respond(200)
    assert len(bench.exchanges) == 5
    for exchange in list(bench.exchanges[1:]):
        exchange.respond(200)
    assert len(bench.exchanges) == 6
    bench.exchanges[5].respond(200)
    assert bench.transport.reading
    assert bench.transport.take().count(b"HTTP/1.1 200") == 6


@on_loop
async def test_reading_pauses_while_waiting_bodies_are_large():
    bench = Bench()
    bench.receive(post(b"x" * 60_000) * 3)
    assert len(bench.exchanges) == 2
    assert not bench.transport.reading
    bench.exchanges[0].respond(200)
    assert len(bench.exchanges) == 3


@on_loop
async def test_reading_pauses_while_the_client_does_not_read():
    bench = Bench(answer=echo)
    assert bench.transport.high == 1000
    bench.connection.pause_writing()
    assert not bench.transport.reading
    assert bench.receive(GET) == b""  # what was on its way is kept
    bench.connection.resume_writing()
    assert bench.transport.reading
    assert status(bench.transport.take()) == 200


@on_loop
async def test_a_client_that_never_reads_is_cut_off_and_one_that_reads_slowly_is_not():
    bench = Bench(answer=echo)
    bench.receive(post(b"x" * 10_000))
    for pending in (9000, 8000, 7000):
        bench.transport.pending = pending
        bench.later(LIMITS.write_seconds - 1)
        assert not bench.transport.closed
    bench.later(LIMITS.write_seconds + 1)
    assert bench.transport.closed == "aborted"


@on_loop
async def test_headers_have_an_absolute_deadline():
    bench = Bench(answer=echo)
    for byte in b"GET / HTT":
        assert bench.receive(bytes([byte])) == b""
        assert bench.later(1) == b""
    answer = bench.later(2)
    assert status(answer) == 408
    assert b"connection: close" in answer
    assert problem(answer)["code"] == "deadline_exceeded"
    assert bench.transport.ended


@on_loop
async def test_a_body_may_be_slow_but_must_make_progress():
    bench = Bench(answer=echo)
    bench.receive(post(b"abc")[:-3])
    for byte in b"ab":
        assert bench.later(LIMITS.body_seconds - 1) == b""
        bench.receive(bytes([byte]))
    assert status(bench.later(LIMITS.body_seconds + 1)) == 408
    assert bench.exchanges == []


@on_loop
async def test_an_idle_connection_is_closed_but_not_one_that_waits_for_its_answer():
    bench = Bench()
    bench.receive(GET)
    bench.later(LIMITS.idle_seconds + 1)
    assert not bench.transport.closed
    bench.exchanges[0].respond(200)
    bench.later(LIMITS.idle_seconds - 1)
    assert not bench.transport.closed
    bench.later(2)
    assert bench.transport.closed == "closed"


@on_loop
async def test_time_limits_rest_while_we_do_not_read():
    bench = Bench()
    bench.receive(GET * 4 + b"GET /incomplete")
    assert not bench.transport.reading
    bench.later(LIMITS.header_seconds * 10)
    for exchange in bench.exchanges:
        exchange.respond(200)
    assert bench.later(1).count(b"HTTP/1.1 408") == 0
    assert status(bench.later(LIMITS.header_seconds + 1)) == 408


@pytest.mark.parametrize("name", REFUSED)
@on_loop
async def test_refused_requests_close_the_connection_and_hide_nothing(name):
    raw, expected = REFUSED[name]
    bench = Bench(answer=echo)
    answer = bench.receive(raw)
    assert status(answer) == expected
    assert b"\r\nconnection: close\r\n" in answer
    assert set(problem(answer)) == {"error", "code"}
    assert bench.transport.ended
    assert bench.receive(GET) == b""
    assert bench.exchanges == []


@pytest.mark.parametrize("name", ACCEPTED)
@on_loop
async def test_harmless_requests_reach_the_application(name):
    raw, targets = ACCEPTED[name]
    bench = Bench(answer=echo)
    bench.receive(raw)
    assert [exchange.target for exchange in bench.exchanges] == targets


@on_loop
async def test_a_refusal_waits_for_the_answers_before_it():
    bench = Bench()
    assert bench.receive(GET + b"nonsense\r\n\r\n") == b""
    assert not bench.transport.closed
    bench.exchanges[0].respond(200, b"first")
    answers = bench.transport.take()
    assert answers.index(b"200 OK") < answers.index(b"400 Bad")


@on_loop
async def test_a_refused_client_may_finish_sending_but_not_for_ever():
    bench = Bench()
    assert status(bench.receive(post(b"x" * 100_001)[:-100_001])) == 413
    assert bench.receive(b"x" * 10_000) == b""
    bench.later(1)
    assert not bench.transport.closed
    bench.later(2)
    assert bench.transport.closed == "aborted"


@on_loop
async def test_a_refused_client_may_finish_sending_but_not_everything():
    bench = Bench()
    bench.receive(b"nonsense\r\n\r\n")
    for _ in range(10):
        assert not bench.transport.closed
        bench.receive(b"x" * 10_000)
    bench.receive(b"x")
    assert bench.transport.closed == "aborted"


@on_loop
async def test_a_chunk_too_many_is_refused():
    bench = Bench(limits=WireLimits(chunk_count=10))
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert bench.receive(head + b"1\r\nx\r\n" * 10) == b""
    assert status(bench.receive(b"1\r\nx\r\n")) == 400


@on_loop
async def test_a_continue_is_sent_once_the_head_is_fine():
    bench = Bench(answer=echo)
    request = post(b"ab", b"Expect: 100-continue")
    assert bench.receive(request[:-2]) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert bench.receive(b"a") == b""
    assert bench.receive(b"b").endswith(b"ab")
    assert bench.receive(request).count(b"HTTP/1.1") == 1  # the body came along: nobody waits
    assert status(bench.receive(post(b"x" * 200_000, b"Expect: 100-continue")[:-200_000])) == 413


@on_loop
async def test_a_continue_does_not_overtake_answers():
    bench = Bench()
    assert bench.receive(GET + post(b"ab", b"Expect: 100-continue")[:-2]) == b""
    bench.exchanges[0].respond(200, b"first")
    assert bench.transport.take().endswith(b"firstHTTP/1.1 100 Continue\r\n\r\n")


@on_loop
async def test_an_old_client_is_answered_and_left():
    bench = Bench(answer=echo)
    assert b"connection: close" in bench.receive(b"GET / HTTP/1.0\r\n\r\n")
    assert bench.transport.closed == "closed"
    bench = Bench(answer=echo)
    assert b"connection: keep-alive" in bench.receive(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert not bench.transport.closed


@on_loop
async def test_head_gets_no_body():
    bench = Bench(answer=lambda exchange: exchange.respond(200, b"hello" * 1000, b"text/plain"))
    answer = bench.receive(b"HEAD / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
    assert answer.endswith(b"content-length: 5000\r\n\r\n")


@on_loop
async def test_large_answers_are_whole():
    bench = Bench(answer=lambda exchange: exchange.respond(200, memoryview(b"x" * 300_000), b"image/png"))
    assert bench.receive(GET).endswith(b"content-length: 300000\r\n\r\n" + b"x" * 300_000)


@on_loop
async def test_only_the_first_answer_counts():
    bench = Bench()
    bench.receive(GET)
    bench.exchanges[0].respond(200, b"first")
    bench.exchanges[0].respond(500, b"second")
    assert bench.transport.take().count(b"HTTP/1.1") == 1


@on_loop
async def test_whoever_leaves_is_reported_once():
    bench = Bench()
    bench.receive(GET * 3)
    bench.exchanges[1].respond(200)
    bench.connection.connection_lost(None)
    assert bench.gone == [bench.exchanges[0], bench.exchanges[2]]
    assert bench.closed == [bench.connection]
    bench.exchanges[0].respond(200)
    assert bench.transport.take() == b""


@on_loop
async def test_a_bug_in_hearing_of_the_end_is_not_the_others_bug(caplog):
    bench = Bench()
    bench.receive(GET * 2)
    bench.exchanges[0].on_gone = lambda: 1 / 0
    bench.connection.connection_lost(None)
    assert bench.gone == bench.exchanges[1:]
    assert bench.closed
    assert len(caplog.records) == 1


@on_loop
async def test_a_bug_of_the_application_is_answered_and_logged_once(caplog):
    def fail(exchange: Exchange) -> None:
        raise RuntimeError("secret detail")

    bench = Bench(answer=fail)
    with caplog.at_level(logging.ERROR):
        answer = bench.receive(GET)
    assert status(answer) == 500
    assert problem(answer)["code"] == "internal"
    assert b"secret" not in answer
    assert len(caplog.records) == 1
    assert not bench.transport.closed


@on_loop
async def test_bodies_are_decompressed():
    bench = Bench(answer=echo)
    assert bench.receive(post(gzip.compress(b"hello"), b"Content-Encoding: gzip")).endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize(
    ("body", "encoding", "expected"),
    [
        (b"hello", b"br", 415),
        (gzip.compress(b"x"), b"gzip, gzip", 415),
        (gzip.compress(b"hello")[:-2], b"gzip", 400),
        (b"hello", b"gzip", 400),
        (gzip.compress(b"0" * 100_001), b"gzip", 413),
    ],
)
@on_loop
async def test_bodies_that_cannot_be_decompressed_get_a_clear_answer(body, encoding, expected):
    bench = Bench(answer=echo)
    assert status(bench.receive(post(body, b"Content-Encoding: " + encoding))) == expected
    assert bench.exchanges == []
    assert status(bench.receive(GET)) == 200


@on_loop
async def test_large_bodies_are_decompressed_off_the_loop_and_keep_their_place():
    limits = WireLimits(body_bytes=2_000_000)
    bench = Bench(answer=lambda exchange: exchange.respond(200, b"%d" % len(exchange.body)), limits=limits)
    packed = gzip.compress(b"0" * 1_000_000)
    assert bench.receive(post(packed, b"Content-Encoding: gzip") + post(b"12")) == b""
    assert len(bench.exchanges) == 1  # the second did not have to wait for its turn at the application
    await until(lambda: len(bench.exchanges) == 2)
    answers = bench.transport.take()
    assert answers.index(b"\r\n\r\n1000000") < answers.rindex(b"\r\n\r\n2")


@on_loop
async def test_a_bomb_is_refused_off_the_loop():
    bench = Bench(answer=echo, limits=WireLimits(body_bytes=2_000_000))
    bench.receive(post(gzip.compress(b"0" * 3_000_000), b"Content-Encoding: gzip"))
    await until(lambda: not bench.connection.busy)
    assert status(bench.transport.take()) == 413


@on_loop
async def test_whoever_leaves_while_his_body_is_inflated_costs_the_application_nothing():
    bench = Bench(answer=echo, limits=WireLimits())
    bench.receive(post(gzip.compress(b"0" * 1_000_000), b"Content-Encoding: gzip"))
    bench.connection.connection_lost(None)
    await until(lambda: True)
    assert bench.exchanges == []


@pytest.mark.parametrize("size", [1023, 1024, 50_000, 200_000])
@pytest.mark.parametrize(
    "content_type", [b"application/json", b"text/html; charset=utf-8", b"application/octet-stream"]
)
@pytest.mark.parametrize("accepted", [b"gzip", b"identity"])
@on_loop
async def test_answers_are_compressed_if_it_pays_and_is_wanted(size, content_type, accepted):
    bench = Bench(answer=lambda exchange: exchange.respond(200, b"0" * size, content_type))
    answer = bench.receive(GET[:-2] + b"Accept-Encoding: " + accepted + b"\r\n\r\n")
    await until(lambda: not bench.connection.busy)
    wanted = size >= 1024 and accepted == b"gzip" and b"octet" not in content_type
    head, body = (answer + bench.transport.take()).split(b"\r\n\r\n", 1)
    assert (b"content-encoding: gzip" in head) is wanted
    assert b"content-length: %d" % len(body) in head
    assert (gzip.decompress(body) if wanted else body) == b"0" * size


@on_loop
async def test_a_shutdown_answers_what_is_in_flight_and_says_so():
    bench = Bench()
    bench.receive(GET * 2)
    bench.connection.shutdown()
    assert bench.connection.busy
    bench.exchanges[0].respond(200, b"first")
    assert b"connection: close" not in bench.transport.take()
    bench.exchanges[1].respond(200, b"second")
    assert b"connection: close" in bench.transport.take()
    assert bench.transport.closed == "closed"


@on_loop
async def test_a_shutdown_lets_a_request_that_is_on_its_way_arrive():
    bench = Bench(answer=echo)
    bench.receive(post(b"ab")[:-1])
    bench.connection.shutdown()
    answer = bench.receive(b"b")
    assert answer.endswith(b"ab")
    assert b"connection: close" in answer
    assert bench.transport.closed == "closed"


@on_loop
async def test_a_shutdown_closes_idle_connections_after_a_moment():
    bench = Bench(answer=echo)
    bench.connection.shutdown()
    assert not bench.transport.closed
    await until(lambda: bench.transport.closed == "closed")
    assert bench.receive(GET) == b""


@on_loop
async def test_abort_closes_at_once():
    bench = Bench()
    bench.receive(GET)
    bench.connection.abort()
    assert bench.transport.closed == "aborted"
