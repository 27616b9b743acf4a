"""Room is taken before it is filled, given back when it was not, and counted again when nobody fills."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.usage import Room, Usage

STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "close", "free"]), st.integers(0, 60), st.integers(0, 60)), max_size=30
)


@given(STEPS)
def test_the_limit_is_never_exceeded_and_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    filled = 0
    usage = Usage(tmp_path_factory.mktemp("usage") / "usage", 100, lambda: filled)
    open_rooms: list[tuple[Room, int]] = []
    for step, size, used in steps:
        taken = sum(size for _, size in open_rooms)
        if step == "take":
            room = usage.take(size)
            assert (room is not None) == (not size or filled + taken + size <= 100)
            if room is not None:
                open_rooms.append((room, size))
        elif step == "close" and open_rooms:
            room, size = open_rooms.pop()
            room.used = min(used, size)
            filled += room.used
            room.close()
        elif step == "free":
            size = min(size, filled)
            filled -= size
            usage.give_back(size)
        assert usage.held() == filled + sum(size for _, size in open_rooms)
    for room, _ in open_rooms:
        room.close()
    assert usage.held() == filled


def test_counting_again_waits_for_those_who_fill(tmp_path: Path) -> None:
    usage = Usage(tmp_path / "usage", 100, lambda: 7)
    assert usage.held() == 7, "a new file is counted"
    room = usage.take(50)
    assert room is not None
    usage.recount()
    assert usage.held() == 57
    room.close()
    (tmp_path / "usage").write_bytes((99).to_bytes(8, "little"))
    usage.recount()
    assert usage.held() == 7
