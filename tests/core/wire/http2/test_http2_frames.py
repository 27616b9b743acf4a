import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.wire.http2 import codes, frames
from shoal.core.wire.http2.faults import ConnectionFault
from shoal.core.wire.http2.loop import FrameLoop
from support.http2_wire import split

frame_parts = st.tuples(
    st.integers(0, 255), st.integers(0, 255), st.integers(0, codes.LARGEST_STREAM_ID), st.binary(max_size=300)
)


class Loop(FrameLoop):
    def __init__(self, preface: bytes = b"") -> None:
        super().__init__(preface)
        self.seen: list[tuple[int, int, int, bytes]] = []

    def _on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        self.seen.append((kind, flags, stream_id, payload))

    def feed(self, data: bytes) -> None:
        self._feed(data)


@given(st.lists(frame_parts, max_size=10), st.lists(st.integers(1, 80), max_size=60), st.booleans())
def test_frames_survive_any_fragmentation(
    sent: list[tuple[int, int, int, bytes]], cuts: list[int], with_preface: bool
) -> None:
    preface = codes.PREFACE if with_preface else b""
    stream = preface + b"".join(frames.frame(*each) for each in sent)
    loop, at = Loop(preface), 0
    for cut in [*cuts, len(stream)]:
        loop.feed(stream[at : at + cut])
        at += cut
    assert loop.seen == sent
    assert not loop.partial


@given(st.lists(frame_parts, max_size=10))
def test_one_byte_at_a_time_is_as_good_as_all_at_once(sent: list[tuple[int, int, int, bytes]]) -> None:
    loop = Loop()
    for byte in b"".join(frames.frame(*each) for each in sent):
        loop.feed(bytes((byte,)))
    assert loop.seen == sent


def test_the_reserved_bit_of_a_stream_id_is_ignored() -> None:
    loop = Loop()
    loop.feed(b"\x00\x00\x01\x00\x00\x80\x00\x00\x05x")
    assert loop.seen == [(0, 0, 5, b"x")]


@pytest.mark.parametrize("first", [0, 1, 5])
def test_a_frame_above_the_agreed_size_is_refused_by_its_header(first: int) -> None:
    header = b"\x00\x40\x01\x00\x00\x00\x00\x00\x01"
    loop = Loop()
    loop.feed(header[:first])
    with pytest.raises(ConnectionFault) as raised:
        loop.feed(header[first:])
    assert raised.value.code == codes.ErrorCode.FRAME_SIZE_ERROR


def test_a_wrong_preface_is_seen_at_its_first_wrong_byte() -> None:
    loop = Loop(codes.PREFACE)
    loop.feed(b"PRI * HTTP/2")
    with pytest.raises(ConnectionFault):
        loop.feed(b"!")


@given(st.binary(max_size=100), st.integers(0, 255))
def test_padding_comes_off(payload: bytes, padding: int) -> None:
    assert frames.unpad(bytes((padding,)) + payload + bytes(padding)) == payload


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x05abcd"])
def test_padding_longer_than_the_frame_is_an_error(payload: bytes) -> None:
    with pytest.raises(ConnectionFault):
        frames.unpad(payload)


@given(st.dictionaries(st.integers(7, 0xFFFF), st.integers(0, 2**32 - 1)))
def test_settings_round_trip(values: dict[int, int]) -> None:
    (_, _, _, payload) = split(frames.settings(values))[0]
    assert dict(frames.parse_settings(payload)) == values


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (codes.ENABLE_PUSH, 2),
        (codes.INITIAL_WINDOW_SIZE, 2**31),
        (codes.MAX_FRAME_SIZE, 16_383),
        (codes.MAX_FRAME_SIZE, 2**24),
    ],
)
def test_settings_out_of_range_are_refused(key: int, value: int) -> None:
    with pytest.raises(ConnectionFault):
        frames.parse_settings(split(frames.settings({key: value}))[0][3])


@given(st.binary(min_size=1, max_size=500), st.integers(1, 60), st.booleans())
def test_long_header_blocks_are_cut_into_continuations(block: bytes, size: int, end: bool) -> None:
    parts = split(frames.headers(3, block, end, size))
    assert b"".join(payload for _, _, _, payload in parts) == block
    assert all(len(payload) <= size for _, _, _, payload in parts)
    assert [kind for kind, _, _, _ in parts] == [codes.HEADERS] + [codes.CONTINUATION] * (len(parts) - 1)
    assert [bool(flags & codes.END_HEADERS) for _, flags, _, _ in parts] == [False] * (len(parts) - 1) + [True]
    assert bool(parts[0][1] & codes.END_STREAM) is end
