import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.wire import grpc
from shoal.core.wire.grpc import MessageReader, RpcFault, Status


def reader(encoding: bytes = b"gzip", limit: int = 1000, parts: int = 100) -> MessageReader:
    return MessageReader(encoding, limit, parts)


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=200)), max_size=8), st.lists(st.integers(1, 30)))
def test_messages_survive_any_fragmentation(sent: list[tuple[bool, bytes]], cuts: list[int]) -> None:
    stream = b"".join(grpc.prefix(len(message), flag) + message for flag, message in sent)
    inbox, got, at = reader(parts=10_000), [], 0
    for cut in [*cuts, len(stream)]:
        got += inbox.feed(stream[at : at + cut])
        at += cut
    inbox.finish()
    assert got == sent


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x02\0\0\0\0", Status.INTERNAL),
        (b"\xff\0\0\0\0", Status.INTERNAL),
        (b"\0\0\0\x03\xe9", Status.RESOURCE_EXHAUSTED),
        (b"\0\xff\xff\xff\xff", Status.RESOURCE_EXHAUSTED),
    ],
)
def test_a_bad_frame_is_refused_by_its_first_bytes(data: bytes, status: Status) -> None:
    with pytest.raises(RpcFault) as raised:
        reader().feed(data)
    assert raised.value.status == status


def test_a_compressed_message_needs_an_encoding() -> None:
    with pytest.raises(RpcFault) as raised:
        reader(b"").feed(b"\x01\0\0\0\0")
    assert raised.value.status == Status.INTERNAL


@pytest.mark.parametrize("data", [b"\0", b"\0\0\0\0\5", b"\0\0\0\0\5abcd"])
def test_the_end_in_the_middle_of_a_message_is_a_fault(data: bytes) -> None:
    inbox = reader()
    inbox.feed(data)
    assert inbox.partial
    with pytest.raises(RpcFault) as raised:
        inbox.finish()
    assert raised.value.status == Status.INTERNAL


def test_a_message_in_crumbs_is_refused() -> None:
    inbox = reader(parts=10)
    for piece in [grpc.prefix(900), *[b"x"] * 10]:
        inbox.feed(piece)
    with pytest.raises(RpcFault) as raised:
        inbox.feed(b"x")
    assert raised.value.status == Status.RESOURCE_EXHAUSTED


def test_an_unknown_encoding_is_not_implemented() -> None:
    with pytest.raises(RpcFault) as raised:
        reader(b"br")
    assert raised.value.status == Status.UNIMPLEMENTED


@given(st.binary(max_size=3000))
def test_gzip_round_trips(message: bytes) -> None:
    assert grpc.inflate(grpc.deflate(message), len(message)) == message
    assert grpc.inflate(gzip.compress(message), 5000) == message


def test_a_bomb_is_not_inflated_beyond_the_limit() -> None:
    bomb = grpc.deflate(bytes(50_000_000))
    assert len(bomb) < 300_000
    with pytest.raises(RpcFault) as raised:
        grpc.inflate(bomb, 10_000)
    assert raised.value.status == Status.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("data", [b"", b"junk", gzip.compress(b"abc")[:-3], gzip.compress(b"abc") + b"more"])
def test_what_is_not_gzip_is_a_fault(data: bytes) -> None:
    with pytest.raises(RpcFault) as raised:
        grpc.inflate(data, 1000)
    assert raised.value.status == Status.INTERNAL


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"1H", 3600), (b"2M", 120), (b"3S", 3), (b"250m", 0.25), (b"5u", 5e-6), (b"99999999n", 0.099999999), (b"0S", 0)],
)
def test_timeouts_are_read(value: bytes, seconds: float) -> None:
    assert grpc.parse_timeout(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value", [b"", b"1", b"S", b"1s", b"-1S", b"+1S", b" 1S", b"1.5S", b"123456789S", b"1SS", b"\xb2S"]
)
def test_bad_timeouts_are_invalid(value: bytes) -> None:
    with pytest.raises(RpcFault) as raised:
        grpc.parse_timeout(value)
    assert raised.value.status == Status.INVALID_ARGUMENT


@given(st.floats(-1, 1e12))
def test_timeouts_are_written_without_becoming_longer(seconds: float) -> None:
    back = grpc.parse_timeout(grpc.format_timeout(seconds))
    assert back <= max(0.0, seconds) * (1 + 1e-12)
    if 1e-9 < seconds < 3e11:
        assert back == pytest.approx(seconds, rel=1e-5, abs=1e-9)


@given(st.text(max_size=100))
def test_texts_round_trip_as_printable_ascii(text: str) -> None:
    value = grpc.encode_text(text)
    assert all(0x20 <= byte <= 0x7E for byte in value)
    assert value == value.strip()
    if text == text.strip(" ") and "\ud800" not in text.encode("utf-8", "replace").decode():
        assert grpc.decode_text(value) == text.encode("utf-8", "replace").decode()


def test_texts_that_need_no_escape_are_left_as_they_are() -> None:
    assert grpc.encode_text("no such model: a/b [1]") == b"no such model: a/b [1]"
    assert grpc.encode_text("100 %\r\nx: y") == b"100 %25%0D%0Ax: y"


@given(st.binary(max_size=100))
def test_binary_values_round_trip_padded_or_not(value: bytes) -> None:
    encoded = grpc.encode_binary(value)
    assert b"=" not in encoded
    assert grpc.decode_binary(encoded) == grpc.decode_binary(encoded + b"=" * (-len(encoded) % 4)) == value


def test_binary_junk_is_invalid() -> None:
    with pytest.raises(RpcFault) as raised:
        grpc.decode_binary(b"\x01!!")
    assert raised.value.status == Status.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (b"application/grpc", True), (b"application/grpc+proto", True), (b"application/grpc;x=1", True),
        (b"application/grpc-web", False), (b"application/grpcx", False), (b"application/json", False), (b"", False),
    ],
)  # fmt: skip
def test_grpc_is_told_from_its_relatives(content_type: bytes, expected: bool) -> None:
    assert grpc.is_grpc(content_type) is expected
