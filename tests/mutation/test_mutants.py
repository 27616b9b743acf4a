"""Mutants of small sources: each is one change, in its line, and what no test should hold is left alone."""

from __future__ import annotations

import ast

import pytest
from mutation.mutants import mutants
from mutation.subjects import SUBJECTS


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("a < b", ["a < b -> a <= b"]),
        ("a in b and c", ["a in b and c -> a in b or c", "a in b -> a not in b"]),
        ("a + 1", ["a + 1 -> a - 1", "1 -> 2"]),
        ("x = True", ["True -> False"]),
        ("a += b", ["a += b -> a -= b"]),
        ("if not a: f()", ["if not a: -> if not not a:", "not a -> a", "f() -> pass"]),
        ("def f():\n    return a", ["return a -> return None"]),
        ("def f():\n    raise E", ["raise E -> pass"]),
        ("self.a = b", ["self.a = b -> pass"]),
        ("for a in b:\n    break", ["break -> continue"]),
        ("a if b else c", ["a if b else c -> a if not b else c"]),
    ],
)
def test_each_change_is_one(source: str, changes: list[str]) -> None:
    assert [each.what for each in mutants(source)] == changes


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "a: Literal[1]",
        "__all__ = [1]",
        "logger.info('x', 1)",
        "x = 'text'",
        "return_none = None",
        "from a import b",
        "@decorated(1)\nclass A: pass",
        "class A(B, frozen=True): pass",
        "if TYPE_CHECKING:\n    f(1)",
    ],
)
def test_what_no_test_should_hold_is_left_alone(source: str) -> None:
    assert mutants(source) == []


def test_mutants_know_their_line_and_leave_the_rest_as_it_was() -> None:
    source = "a = 1\nb = 2\nc = f(a)\n"
    found = mutants(source)
    assert [each.line for each in found] == [1, 2]
    for each in found:
        lines = ast.unparse(each.tree).splitlines()
        assert sum(new != old for new, old in zip(lines, source.splitlines(), strict=True)) == 1
        compile(each.tree, "x", "exec")


def test_what_is_to_be_mutated_is_there() -> None:
    for subject in SUBJECTS.values():
        assert subject.files()
        assert all(file.is_file() for file in subject.files())


def test_mutants_know_the_lines_of_their_function_and_none_for_what_is_run_at_import() -> None:
    source = (
        "a = 1\n\n\n@wrapped\ndef f(b=2):\n    def g():\n        return h(b)\n    return g\n\n\nclass C:\n    d = 3\n"
    )
    assert {each.what: each.within for each in mutants(source)} == {
        "1 -> 2": None,
        "2 -> 3": None,
        "return h(b) -> return None": (6, 7),
        "return g -> return None": (4, 8),
        "3 -> 4": None,
    }
