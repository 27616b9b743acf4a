"""Leases: many on one tree, none while it is evicted, each ended by its holder or its end."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.leases import Leases
from shoal.testing.stores import name_of

TREES = [name_of(b"%d" % number) for number in range(3)]


def test_a_tree_is_alone_when_nobody_holds_it(tmp_path: Path) -> None:
    mine, others = Leases(tmp_path / "leases"), Leases(tmp_path / "leases")

    def alone(digest: str) -> list[bool]:
        found = []
        for leases in (mine, others):
            with leases.alone(digest) as free:
                found.append(free)
        return found

    mine.hold(TREES[0])
    mine.hold(TREES[0])
    others.hold(TREES[0])
    assert alone(TREES[0]) == [False, False]
    assert alone(TREES[1]) == [True, True]
    mine.drop(TREES[0])
    others.drop(TREES[0])
    assert alone(TREES[0]) == [False, False]
    mine.drop(TREES[0])
    assert alone(TREES[0]) == [True, True]
    mine.hold(TREES[2])
    mine.close()
    with others.alone(TREES[2]) as free:
        assert free
    others.close()


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(TREES), st.booleans()), max_size=40))
def test_what_is_held_is_never_alone(steps: list[tuple[bool, str, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        both = [Leases(Path(folder) / "leases") for _ in range(2)]
        held: list[list[str]] = [[], []]
        for take, digest, second in steps:
            mine, leases = held[second], both[second]
            if take:
                leases.hold(digest)
                mine.append(digest)
            elif digest in mine:
                leases.drop(digest)
                mine.remove(digest)
            for each in TREES:
                with both[0].alone(each) as free:
                    assert free == (each not in held[0] and each not in held[1])
        for leases in both:
            leases.close()
