"""Every test that `docs/faults.md` names is there, and every line of its tables names one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/faults.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_test_that_is_named_exists() -> None:
    texts = {path: (ROOT / path).read_text() if (ROOT / path).exists() else "" for path, _ in NAMED.findall(PAGE)}
    missing = [
        f"{path}::{name}"
        for path, name in NAMED.findall(PAGE)
        if not re.search(rf"^\s*(?:async )?def {name}\(|^{name} = ", texts[path], re.MULTILINE)
    ]
    assert missing == []


def test_every_fault_has_a_test() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| fault |")]
    assert len(lines) > 40
    assert [line for line in lines if not NAMED.search(line)] == []
    assert [line for line in lines if line.count(" | ") != 3] == []
