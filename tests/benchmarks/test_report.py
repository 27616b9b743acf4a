from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks.machine import Machine
from benchmarks.report import (
    COLUMNS,
    PARTS,
    Part,
    as_json,
    line,
    number,
    replace_section,
    section,
    store,
    table,
    verdict,
)
from benchmarks.summary import Row, Side, Spread, Target

MACHINE = Machine("A processor", 2, 8.0, "6.1", "3.11.7", "wrk 4", "h2load 1", 0.1, "2026-01-01")
GOOD = Row(
    1,
    "iris",
    "requests/s",
    Side("shoal", Spread(20_000, 19_000, 21_000), cpu_per_1000=0.03, p50=2.0, p99=9.0),
    Side("other", Spread(1000, 900, 1100), cpu_per_1000=1.0),
    Spread(20, 19, 21),
    Target(15),
)
BAD = Row(2, "iris", "requests/s", target=Target(20), failure="no | such port", against="other")


def test_numbers_keep_three_digits() -> None:
    assert [number(value) for value in (12345.6, 123.4, 12.34, 1.234, 0.01234)] == [
        "12,346",
        "123",
        "12.3",
        "1.23",
        "0.0123",
    ]


def test_a_line_has_every_column() -> None:
    for row in (GOOD, BAD):
        assert line(row).count("|") == len(COLUMNS) + 1


def test_a_good_row_shows_ratio_target_and_both_sides() -> None:
    text = line(GOOD)
    assert "20.0 (19.0-21.0) | ≥ 15 | yes | 20,000 (19,000-21,000) | 1,000 (900-1,100)" in text
    assert "0.03 / 1" in text
    assert "| 2 / - |" in text


def test_a_failed_row_says_why() -> None:
    assert "| other | failed: no / such port | ≥ 20 | **no** |" in line(BAD)


def test_the_verdict_counts_targets() -> None:
    assert verdict([GOOD, BAD, Row(3, "x", "s")]) == "1 of 2 targets met."


def test_the_section_names_machine_and_stand_in() -> None:
    assert "2 cores of A processor" in section([GOOD], MACHINE, "how", "shoal")
    assert "Not Shoal" not in section([GOOD], MACHINE, "how", "shoal")
    assert "Not Shoal: reference" in section([GOOD], MACHINE, "how", "reference")


def test_json_holds_all_rows() -> None:
    content = json.loads(as_json([GOOD, BAD], MACHINE, "how", "shoal"))
    assert [row["met"] for row in content["rows"]] == [True, False]
    assert content["machine"]["cores"] == 2


def test_only_the_section_of_the_readme_is_replaced() -> None:
    text = "# Title\n<!-- results: begin -->\nold\n<!-- results: end -->\ntail\n"
    once = replace_section(text, table([GOOD]))
    assert once.startswith("# Title\n")
    assert once.endswith("\ntail\n")
    assert "old" not in once
    assert replace_section(once, table([GOOD])) == once


def test_a_readme_without_the_section_is_refused() -> None:
    with pytest.raises(ValueError, match="results: begin"):
        replace_section("# Title", "x")


def test_each_part_has_a_section_and_a_file_of_its_own(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("".join(f"{part.begin}\nold\n{part.end}\n" for part in PARTS))
    many = dataclasses.replace(GOOD, figure=9)
    store([many], MACHINE, "quickly", subject="shoal", folder=tmp_path, readme=readme)
    assert not (tmp_path / PARTS[0].file).exists()
    assert (tmp_path / PARTS[1].file).is_file()
    first, second, third = (text.partition(part.end)[0] for part, text in _sections(readme.read_text()))
    assert "old" in first
    assert "old" not in second
    assert "old" in third


def _sections(text: str) -> list[tuple[Part, str]]:
    """What follows the beginning of each part."""
    return [(part, text.partition(part.begin)[2]) for part in PARTS]
