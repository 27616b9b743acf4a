"""`docs/reliability.md` has a line for every row of the catalogue of faults, and the tests that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reliability.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ROW = re.compile(r"^\| ([A-Z]\d+) \| ([^|]+) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)

CATALOGUE = {
    "C": (1, 2, 4, 5, 6, 7, 8, 10, 11, 12, 14),
    "P": (1, 3, 4, 5, 7, 8, 10, 11, 12, 13, 15, 16),
    "B": (1, 2, 3, 5, 7, 8, 9, 10, 11, 13),
    "W": (1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 14, 16, 17),
    "R": (1, 2, 3, 5, 6, 7, 9, 10, 12, 13, 14, 16, 17, 18),
    "D": (1, 2, 3, 4, 5, 6, 8, 10, 11),
    "O": (1, 2, 3, 5, 6, 7, 8, 10, 11, 12),
    "S": (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24),
    "X": (1, 2, 3, 5, 6, 7, 8, 9),
}
"""Callers, protocols, batches, workers, registry, deploys, overload, security, supply chain."""


def test_every_row_of_the_catalogue_is_there_once() -> None:
    rows = [row[0] for row in ROW.findall(PAGE)]
    assert rows == [f"{group}{number}" for group, numbers in CATALOGUE.items() for number in numbers]


def test_a_row_names_a_test_or_says_why_there_is_none() -> None:
    assert [row for row in ROW.findall(PAGE) if not NAMED.search(row[2]) and not row[3].strip()] == []


def test_every_test_that_is_named_exists() -> None:
    texts = {path: (ROOT / path).read_text() if (ROOT / path).exists() else "" for path, _ in NAMED.findall(PAGE)}
    missing = [
        f"{path}::{name}"
        for path, name in NAMED.findall(PAGE)
        if not re.search(rf"^\s*(?:async )?(?:def|class) {name}\b|^{name} = ", texts[path], re.MULTILINE)
    ]
    assert missing == []


def test_every_campaign_has_a_row() -> None:
    campaigns = {
        f"{path.relative_to(ROOT)}::{name}"
        for path in (ROOT / "tests/chaos").glob("test_*.py")
        if path.name != "test_harness.py"
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert campaigns - {"::".join(each) for each in NAMED.findall(PAGE)} == set()
