"""The HTTP/1.1 request parser: any fragmentation, every limit, and the vectors of request smuggling."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.wire.http1.head import Head, Refusal, parse_head
from shoal.core.wire.http1.parser import RequestParser
from support.http1_vectors import ACCEPTED, REFUSED

LIMITS = dataclasses.make_dataclass(
    "LIMITS",
    [
        ("body_bytes", int, 1000),
        ("header_bytes", int, 4096),
        ("header_count", int, 20),
        ("target_bytes", int, 300),
        ("chunk_count", int, 50),
    ],
)()


def with_limits(**changes: int):
    return dataclasses.replace(LIMITS, **changes)


def run(pieces, limits=LIMITS) -> list[tuple[Head, bytes]]:
    """All requests that the pieces hold, with bodies as bytes."""
    parser = RequestParser(limits)
    found = []
    for piece in pieces:
        parser.receive(piece)
        while (request := parser.next_request()) is not None:
            found.append((request[0], bytes(request[1])))
    return found


def refusal(*pieces: bytes, **limits: int) -> Refusal:
    with pytest.raises(Refusal) as caught:
        run(pieces, with_limits(**limits))
    return caught.value


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({min(place, len(raw)) for place in places} | {0, len(raw)})
    return [raw[a:b] for a, b in itertools.pairwise(edges)]


token = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ-09", min_size=1, max_size=10).map(lambda text: "X-" + text)
value = st.text('abc :;,="/\t09é', max_size=20).map(str.strip)


@st.composite
def requests(draw):
    """A valid request: its bytes, target, headers (last value wins) and body."""
    body = draw(st.binary(max_size=200))
    headers = draw(st.lists(st.tuples(token, value), max_size=5))
    target = "/" + draw(st.text("abc/%20?=&~", max_size=20))
    lines = [f"POST {target} HTTP/1.1", "Host: a.b:80", *(f"{name}:{text}" for name, text in headers)]
    if draw(st.booleans()):
        coded, lines = draw(chunked(body)), [*lines, "Transfer-Encoding: chunked"]
    else:
        coded, lines = body, [*lines, f"Content-Length: {len(body)}"]
    raw = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + coded
    expected = {name.lower().encode(): text.encode("latin-1") for name, text in headers}
    return raw, target.encode(), expected, body


@st.composite
def chunked(draw, body: bytes):
    pieces = cut(body, draw(st.lists(st.integers(0, 200), max_size=6)))
    sizes = draw(st.sampled_from(["{:x}", "{:X}", "000{:x}", "{:x};a=b"]))
    trailers = draw(st.sampled_from([b"", b"Etag: x\r\n", b"A: b\r\nC:\r\n"]))
    coded = b"".join(sizes.format(len(piece)).encode() + b"\r\n" + piece + b"\r\n" for piece in pieces if piece)
    return coded + b"0\r\n" + trailers + b"\r\n"


@given(st.lists(requests(), min_size=1, max_size=4), st.lists(st.integers(0, 2000), max_size=30))
def test_any_fragmentation_gives_the_same_requests(wanted, places):
    raw = b"".join(each[0] for each in wanted)
    found = run(cut(raw, places))
    assert len(found) == len(wanted)
    for (head, body), (_, target, headers, expected) in zip(found, wanted, strict=True):
        assert (head.method, head.target, body) == (b"POST", target, expected)
        assert headers.items() <= head.headers.items()
        assert head.keep_alive


@given(st.lists(requests(), min_size=1, max_size=2))
def test_byte_by_byte_gives_the_same_requests(wanted):
    raw = b"".join(each[0] for each in wanted)
    assert run(raw[i : i + 1] for i in range(len(raw))) == run([raw])


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_are_read_or_refused(raw, places):
    with contextlib.suppress(Refusal):
        run(cut(raw, places))


@given(st.sampled_from(sorted(ACCEPTED)), st.data())
def test_a_changed_byte_is_read_or_refused(name, data):
    raw = bytearray(ACCEPTED[name][0])
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Refusal):
        run([bytes(raw)])


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_requests_are_refused_and_hide_nothing(name, size):
    raw, status = REFUSED[name]
    parser = RequestParser(LIMITS)
    targets = []
    refused = None
    for start in range(0, len(raw), size):
        parser.receive(raw[start : start + size])
        try:
            while (request := parser.next_request()) is not None:
                targets.append(request[0].target)
        except Refusal as error:
            refused = error
            break
    assert refused is not None
    assert refused.status == status
    assert targets == []


@pytest.mark.parametrize("name", ACCEPTED)
def test_harmless_requests_are_accepted(name):
    raw, targets = ACCEPTED[name]
    found = run([raw])
    ends = next((i + 1 for i, (head, _) in enumerate(found) if not head.keep_alive), len(found))
    assert [head.target for head, _ in found[:ends]] == targets


def post(*headers: bytes, line: bytes = b"POST / HTTP/1.1") -> bytes:
    return b"\r\n".join((line, b"Host: a", *headers)) + b"\r\n\r\n"


def test_a_declared_body_above_the_limit_is_refused_before_it_is_read():
    assert refusal(post(b"Content-Length: 1001")).status == 413
    assert run([post(b"Content-Length: 1000"), b"x" * 1000])[0][1] == b"x" * 1000


def test_a_chunked_body_is_refused_when_it_crosses_the_limit():
    head = post(b"Transfer-Encoding: chunked")
    assert refusal(head, b"3e9\r\n").status == 413
    assert refusal(head + b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n").status == 413


def test_the_number_of_chunks_is_limited():
    head = post(b"Transfer-Encoding: chunked")
    assert refusal(head + b"1\r\nx\r\n" * 51).status == 400
    assert run([head + b"1\r\nx\r\n" * 49 + b"0\r\n\r\n"])[0][1] == b"x" * 49


@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_large_heads_are_refused_by_what_is_too_large(size):
    def status(raw: bytes) -> int:
        return refusal(*(raw[i : i + size] for i in range(0, len(raw), size))).status

    assert status(post(b"X: " + b"x" * 4096)) == 431
    assert status(b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 4096) == 431
    assert status(post(*(b"X-%d: y" % i for i in range(20)))) == 431
    assert status(post(line=b"GET /" + b"x" * 300 + b" HTTP/1.1")) == 414
    assert status(b"GET /" + b"x" * 9000) == 414
    assert status(b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a") == 414


def test_a_head_within_small_limits_is_checked_although_it_is_memoised():
    raw = post(b"A: b", b"C: d")
    assert len(run([raw])) == 1
    assert refusal(raw, header_count=2).status == 431
    assert refusal(raw, header_bytes=30).status == 431
    assert refusal(post(line=b"POST /long HTTP/1.1"), target_bytes=3).status == 414


def test_trailers_are_limited():
    head = post(b"Transfer-Encoding: chunked") + b"0\r\n"
    assert refusal(head + b"A: b\r\n" * 25 + b"\r\n").status == 431
    assert refusal(head + b"A: " + b"b" * 4096).status == 431


def test_a_continue_is_expected_only_while_no_body_came():
    parser = RequestParser(LIMITS)
    parser.receive(post(b"Expect: 100-Continue", b"Content-Length: 2"))
    assert parser.next_request() is None
    assert parser.expects_continue
    parser.receive(b"ab")
    request = parser.next_request()
    assert request is not None
    assert request[1] == b"ab"
    assert not parser.expects_continue
    parser.receive(post(b"Expect: 100-continue", b"Content-Length: 2") + b"a")
    assert parser.next_request() is None
    assert not parser.expects_continue


def test_http10_expectations_are_ignored():
    assert not parse_head(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expects_continue


def test_a_head_tells_what_the_connection_needs():
    head = parse_head(
        b"GET /x?y HTTP/1.0\r\nCONNECTION: Keep-Alive\r\nX: 1 \r\nx: 2\t\r\nContent-Encoding: gzip\r\n\r\n"
    )
    assert head.old
    assert head.keep_alive
    assert head.headers[b"x"] == b"2"
    assert head.encoding == b"gzip"
    assert head.count == 4
    assert not parse_head(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n").keep_alive


def test_memory_follows_what_came_not_what_was_announced():
    big = with_limits(body_bytes=1 << 40)
    parser = RequestParser(big)
    parser.receive(post(b"Content-Length: %d" % (1 << 40)) + b"x")
    assert parser.next_request() is None
    assert parser.in_body


@pytest.mark.parametrize("size", [1000, 20_000, 300_000])
def test_large_bodies_come_back_whole(size):
    body = bytes(range(256)) * 4000
    raw = post(b"Content-Length: %d" % len(body)) + body
    pieces = [raw[i : i + size] for i in range(0, len(raw), size)]
    assert run(pieces, with_limits(body_bytes=len(body)))[0][1] == body
