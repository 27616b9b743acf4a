"""What others have written is shown as text, and nothing in it acts on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.showing import amount, day, plain, show_facts, show_table


@given(st.text())
def test_nothing_acts(text: str) -> None:
    assert plain(text).isprintable()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (0.123456789, "0.123457"),
        ({"a": 1}, "a=1"),
        (("a", "b"), "a, b"),
        ("\x1b[31mx", "�[31mx"),
    ],
)
def test_values(value: object, shown: str) -> None:
    assert plain(value) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 1024**3, "5.0 GiB"), (2**50, "1048576.0 GiB")],
)
def test_amounts(number: int, shown: str) -> None:
    assert amount(number) == shown


def test_times() -> None:
    assert day(0) == ""
    assert day(1_700_000_000).startswith("2023-11-1")


def test_markup_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("name",), [("[red]x[/red]",)])
    show_facts([("name", "[link=evil]y"), ("empty", "")])
    show_table(("name",), [], empty="nothing [yet]")
    printed = capsys.readouterr().out
    assert "[red]x[/red]" in printed
    assert "[link=evil]y" in printed
    assert "nothing [yet]" in printed
    assert "empty" not in printed


def test_a_table_leaves_out_what_no_row_fills_and_wraps_nothing_for_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_table(("name", "owner", "note"), [("iris", "", "word " * 40), ("wine", "", None)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "note"]
    assert [line.split()[0] for line in lines[1:]] == ["iris", "wine"]
