import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.ipc import frames

parts = st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=200)), max_size=8)


@given(parts, st.lists(st.integers(1, 50)))
def test_frames_survive_any_fragmentation(sent: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(frames.prefix(header, len(payload)) + payload for header, payload in sent)
    reader, got, at = frames.FrameReader(), [], 0
    for cut in [*cuts, len(stream)]:
        got += [(header, bytes(payload)) for header, payload in reader.feed(stream[at : at + cut])]
        at += cut
    assert got == sent


def test_a_header_beyond_all_measure_is_refused() -> None:
    with pytest.raises(frames.BrokenFrame):
        list(frames.FrameReader().feed(b"\xff\xff\xff\xff\x00\x00\x00\x00"))


def test_what_is_only_announced_takes_no_memory() -> None:
    reader = frames.FrameReader()
    assert list(reader.feed(frames.PREFIX.pack(1, 0xFFFF_FFFF) + b"hx")) == []
    assert reader._large is not None
    assert len(reader._large) <= frames.AT_ONCE


def test_giants_come_whole() -> None:
    payload = bytes(range(256)) * (3 * frames.AT_ONCE // 256) + b"end"
    stream = frames.prefix(b"h", len(payload)) + payload + frames.prefix(b"next", 0)
    reader, got = frames.FrameReader(), []
    for at in range(0, len(stream), 1_000_003):
        got += list(reader.feed(stream[at : at + 1_000_003]))
    assert [header for header, _ in got] == [b"h", b"next"]
    assert got[0][1] == payload
