"""Which tests a mutant is tried with, and what is remembered of earlier runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutation.child import Reach
from mutation.kept import Kept, digest

FILE, OTHER = Path("/a.py"), Path("/b.py")
REACH = Reach(
    seconds={"one": 1.0, "two": 2.0, "three": 3.0},
    entered={"one": [("/a.py", 10)], "two": [("/a.py", 12), ("/b.py", 30)], "three": [("/b.py", 10)]},
    imported=[("/a.py", 50)],
)


@pytest.mark.parametrize(
    ("file", "within", "tests"),
    [
        (FILE, (10, 11), {"one"}),
        (FILE, (10, 12), {"one", "two"}),
        (OTHER, (10, 10), {"three"}),
        (FILE, (20, 30), set()),
        (FILE, (50, 51), {"one", "two", "three"}),
        (FILE, None, {"one", "two", "three"}),
    ],
)
def test_a_mutant_is_tried_with_the_tests_that_run_its_function(
    file: Path, within: tuple[int, int] | None, tests: set[str]
) -> None:
    assert set(REACH.tests_of(file, within)) == tests


def test_what_was_found_is_known_while_code_and_tests_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "new" / "kept.jsonl"
    kept = Kept(file, "all")
    assert kept.killed("a.py:1", "module") is None
    for at, killed in (("a.py:1", True), ("a.py:2", True), ("a.py:2", False)):
        kept.keep(at, "module", killed)
    again = Kept(file, "all")
    assert [again.killed(at, "module") for at in ("a.py:1", "a.py:2", "a.py:3")] == [True, False, None]
    assert again.killed("a.py:1", "changed") is None
    other = Kept(file, "other tests")
    assert [other.killed(at, "module") for at in ("a.py:1", "a.py:2")] == [None, None]


def test_what_was_killed_is_known_with_other_tests_if_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    kept = Kept(file, "all")
    kept.keep("a.py:1", "module", True)
    kept.keep("a.py:2", "module", False)
    again = Kept(file, "other tests", again=True)
    assert [again.killed(at, "module") for at in ("a.py:1", "a.py:2")] == [True, None]
    assert again.killed("a.py:1", "changed") is None


def test_a_digest_is_of_the_texts(tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_text("a")
    two.write_text("b")
    both = digest([one, two])
    assert both == digest([two, one])
    two.write_text("c")
    assert both != digest([one, two])
