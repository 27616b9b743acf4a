from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import shelf, timing
from benchmarks.figures import registry_scale
from benchmarks.lab import Lab
from benchmarks.paths import SERVERS


def test_the_registry_rows_of_the_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shelf, "HOMES", tmp_path)
    trained = tmp_path / "linear.joblib"
    subprocess.run([sys.executable, SERVERS / "train_linear.py", trained], check=True)
    (tmp_path / "few").mkdir()
    lab = Lab(repeats=1, thorough=False)
    rows = list(registry_scale.registry(lab, tmp_path / "few", 40, trained.read_bytes()))
    assert [row.what for row in rows] == [
        "40 models registered in bulk with artifacts of their own",
        "look-up of the latest version by name among 40: P99",
        "look-up of the latest version by name among 200: P99",
        "look-up of a route by its address among 40: P99",
        "look-up of a route by its address among 200: P99",
    ]
    assert [str(row.target) for row in rows] == ["≥ 1000", "≤ 5", "≤ 2", "≤ 5", "≤ 2"]
    with shelf.opened(tmp_path / "few") as filled:
        assert filled.registry.count_models() == 40


def test_names_are_drawn_from_the_seed_and_the_first_do_not_count() -> None:
    asked: list[str] = []
    again: list[str] = []
    assert timing.p99(asked.append, 10, 20, seed=1) >= 0
    timing.p99(again.append, 10, 20, seed=1)
    assert asked == again
    assert len(asked) == timing.WARM + 20
    assert {shelf.number_of(name) for name in asked} <= set(range(10))
