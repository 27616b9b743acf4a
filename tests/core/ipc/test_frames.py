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
