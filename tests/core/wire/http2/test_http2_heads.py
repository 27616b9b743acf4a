import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.wire.http2.faults import StreamFault
from shoal.core.wire.http2.heads import read_response, read_trailers, request_reader
from support.http2_wire import GET, POST

read = request_reader(max_bytes=2000, max_count=20)


def test_a_request_is_read() -> None:
    head = read(
        [*POST, (b"content-length", b"12"), (b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"x", b"1"), (b"x", b"2")]
    )
    assert (head.method, head.path, head.content_length, head.oversize) == (b"POST", b"/v2", 12, False)
    assert head.headers == {b"host": b"shoal", b"content-length": b"12", b"cookie": b"a=1; b=2", b"x": b"2"}


def without(name: bytes) -> list[tuple[bytes, bytes]]:
    return [each for each in GET if each[0] != name]


@pytest.mark.parametrize(
    "fields",
    [
        without(b":method"),
        without(b":scheme"),
        without(b":path"),
        [*GET, (b":path", b"/other")],
        [*GET, (b":status", b"200")],
        [*GET, (b":protocol", b"websocket")],
        [(b"x", b"1"), *GET],
        [*without(b":path"), (b":path", b"")],
        [*without(b":path"), (b":path", b"no-slash")],
        [*without(b":path"), (b":path", b"/a b")],
        [*without(b":path"), (b":path", b"/a\tb")],
        [*without(b":method"), (b":method", b"CONNECT")],
        [*without(b":method"), (b":method", b"GE T")],
        [*GET, (b"Upper", b"1")],
        [*GET, (b"", b"1")],
        [*GET, (b"a b", b"1")],
        [*GET, (b"a:b", b"1")],
        [*GET, (b"a\nb", b"1")],
        [*GET, (b"connection", b"close")],
        [*GET, (b"transfer-encoding", b"chunked")],
        [*GET, (b"upgrade", b"h2c")],
        [*GET, (b"keep-alive", b"1")],
        [*GET, (b"proxy-connection", b"1")],
        [*GET, (b"te", b"gzip")],
        [*GET, (b"x", b"a\r\nb: c")],
        [*GET, (b"x", b"a\nb")],
        [*GET, (b"x", b"a\x00b")],
        [*GET, (b"x", b" a")],
        [*GET, (b"x", b"a ")],
        [*GET, (b"content-length", b"-1")],
        [*GET, (b"content-length", b"1e3")],
        [*GET, (b"content-length", b"+1")],
        [*GET, (b"content-length", b"")],
        [*GET, (b"content-length", b"1"), (b"content-length", b"2")],
        [*GET, (b"content-length", b"9" * 30)],
    ],
)
def test_malformed_requests_cost_their_stream(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(StreamFault):
        read(fields)


def test_equal_content_lengths_are_one() -> None:
    assert read([*GET, (b"content-length", b"5"), (b"content-length", b"5")]).content_length == 5


def test_options_may_ask_for_everything() -> None:
    assert read([(b":method", b"OPTIONS"), (b":scheme", b"http"), (b":path", b"*")]).path == b"*"


def test_too_much_is_marked_for_whoever_answers() -> None:
    assert read([*GET, (b"x", b"v" * 2000)]).oversize
    assert read([*GET, *[(b"x%d" % number, b"") for number in range(17)]]).oversize


@pytest.mark.parametrize("status", [b"", b"99", b"20", b"abc", b"099", b"2000"])
def test_a_response_needs_a_status(status: bytes) -> None:
    with pytest.raises(StreamFault):
        read_response([(b":status", status)])


def test_trailers_hold_no_pseudo_fields() -> None:
    assert read_trailers([(b"grpc-status", b"0")]) == {b"grpc-status": b"0"}
    with pytest.raises(StreamFault):
        read_trailers([(b":status", b"200")])


@given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=8))
def test_junk_is_a_head_or_a_fault(fields: list[tuple[bytes, bytes]]) -> None:
    try:
        head = read([*GET, *fields])
    except StreamFault:
        return
    assert all(b"\r" not in value and b"\n" not in value for value in head.headers.values())
