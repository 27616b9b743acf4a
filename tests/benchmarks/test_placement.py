from __future__ import annotations

import pytest

from benchmarks.figures import placement
from benchmarks.lab import Lab


def test_every_row_of_the_placement_figure_meets_its_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "MODELS", placement.MODELS[:2500])
    monkeypatch.setattr(placement, "SHARED", 100)
    rows = list(placement.measure(Lab(repeats=1)))
    assert len(rows) == 8
    assert [row.what for row in rows if not row.met] == []


def test_the_simulated_inventory_is_that_of_the_figure() -> None:
    machines, instances = placement.machines(), placement.instances()
    assert len(machines) == 250
    assert sum(len(each.cards) for each in machines) == 200
    assert len(instances) == 2000
