"""Budgets and ratios: what is counted, and that each bound may be reached and not crossed."""

from __future__ import annotations

import pytest

from shoal.control.artifacts.intake.members import FILE, FOLDER, Budget, Member, Meter, Ratio
from shoal.core.errors import TooLarge

BUDGET = Budget(entries=3, file_bytes=10, total_bytes=15, ratio=5, ratio_free_bytes=100)


def test_as_much_comes_in_as_the_documentation_says() -> None:
    assert Budget() == Budget(10_000, 64 * 2**30, 128 * 2**30, 100, 2**20)


def test_entries_are_counted_files_and_folders_alike() -> None:
    meter = Meter(BUDGET)
    for kind in (FILE, FOLDER, "a symbolic link"):
        meter.visit(Member("a", kind))
    with pytest.raises(TooLarge, match="more than 3 files and folders"):
        meter.visit(Member("a", FILE))


def test_a_file_may_be_as_large_as_its_bound() -> None:
    Meter(BUDGET).visit(Member("a", FILE, 10))
    with pytest.raises(TooLarge, match="'a' has more than 10 bytes") as caught:
        Meter(BUDGET).visit(Member("a", FILE, 11))
    assert (caught.value.field, "smaller artifact" in caught.value.hint) == ("a", True)


@pytest.mark.parametrize(("second", "fits"), [(5, True), (6, False)])
def test_all_files_together_may_be_as_large_as_theirs(second: int, fits: bool) -> None:
    meter = Meter(BUDGET)
    meter.visit(Member("a", FILE, 10))
    if fits:
        meter.visit(Member("b", FILE, second))
    else:
        with pytest.raises(TooLarge, match="'b' makes it more than 15 bytes in all"):
            meter.visit(Member("b", FILE, second))


@pytest.mark.parametrize("packed", [0, 1, 20])
def test_what_comes_out_is_bounded_by_all_that_went_in(packed: int) -> None:
    ratio = Ratio(BUDGET, "a")
    for _ in range(packed):
        ratio.add(packed=1)
    ratio.add(unpacked=100)
    ratio.add(unpacked=5 * packed)
    with pytest.raises(TooLarge, match="'a' unpacks to more than 5 times its size"):
        ratio.add(unpacked=1)
