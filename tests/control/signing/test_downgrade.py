"""Steps back of a stage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.signing import refuse_downgrade
from shoal.core.errors import Conflict
from shoal.core.registry import Version


def version(number: int, digest: str = "") -> Version:
    return Version(namespace="n", model="m", version=number, digest=digest or f"d{number}", size=1)


def test_forward_and_staying_are_free() -> None:
    known = [version(1), version(2), version(3)]
    refuse_downgrade(None, known[0], known, stage="production")
    refuse_downgrade(known[0], known[2], known, stage="production")
    refuse_downgrade(known[1], known[1], known, stage="production")


def test_an_older_number_is_refused() -> None:
    with pytest.raises(Conflict, match="production would go back from version 3 to 1") as caught:
        refuse_downgrade(version(3), version(1), stage="production")
    assert "--allow-older" in caught.value.hint


def test_old_files_under_a_new_number_are_refused() -> None:
    known = [version(1, "bad"), version(2), version(3, "bad")]
    with pytest.raises(Conflict, match="version 3 has the files of version 1"):
        refuse_downgrade(known[1], known[2], known, stage="production")


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=8), st.lists(st.integers(0, 7), max_size=12))
def test_a_stage_never_returns_to_files_that_it_has_left(digests: list[str], moves: list[int]) -> None:
    known = [version(index + 1, digest) for index, digest in enumerate(digests)]
    current, left = None, set[str]()
    for move in moves:
        wanted = known[move % len(known)]
        try:
            refuse_downgrade(current, wanted, known, stage="s")
        except Conflict:
            continue
        assert wanted.digest not in left
        if current is not None and current.digest != wanted.digest:
            left.add(current.digest)
        current = wanted
