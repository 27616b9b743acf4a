from __future__ import annotations

from typing import Any

import pytest

from benchmarks.calls import Outcome
from benchmarks.figures import cold_start, hot_models, many_models
from benchmarks.figures.cold_start import Round
from benchmarks.lab import Lab
from benchmarks.popularity import Player, Size
from benchmarks.summary import Rounds, Side, Spread

SIZE = Size(models=40, kept=10, hot=2, calls=200)


class Playing(Player):
    """Answers each call at once, in as many milliseconds as `slow` says, and models that are not hot in ten times that."""

    slow = 1.0

    def play(self, order: list[int], *, rate: float = 0.0) -> Outcome:
        times = [self.slow * (1 if model < SIZE.hot else 10) for model in order]
        return Outcome(times=times, seconds=self.slow, cpu_seconds=0.01)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr(Lab, "rounds", lambda self, server: Rounds(str(server)))
    return Lab(repeats=2, thorough=True)


def player(slow: float) -> Playing:
    server: Any = type("Server", (), {"cpu_seconds": lambda self: 0.0, "__str__": lambda self: "server"})()
    made = Playing(server)
    made.slow = slow
    return made


def test_the_rows_of_a_duel(lab: Lab) -> None:
    rows = list(many_models.duels(lab, SIZE, "40 models", player(1.0), player(4.0)))
    assert [row.ratio.median if row.ratio else None for row in rows] == [4.0, None, None, 4.0]
    hot, cold = rows[1], rows[2]
    assert hot.ours is not None
    assert cold.theirs is not None
    assert (hot.ours.value.median, cold.theirs.value.median) == (1.0, 40.0)
    assert "the 2 most popular" in hot.what
    assert "the 30 least popular" in cold.what


def test_the_row_against_their_own_repository_has_the_target(lab: Lab) -> None:
    (row,) = many_models.own(lab, SIZE, "40 models", player(1.0), player(4.0))
    assert str(row.target) == "≥ 10"


def test_hot_models_are_compared_at_half_the_rate(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot_models, "Player", lambda server: player(0.5))
    row, cost = hot_models.rows(lab, SIZE, player(1.0))
    assert "100 calls a second" in row.what
    assert row.ratio is not None
    assert (row.ratio.median, row.met) == (2.0, False)
    assert cost.ours is not None
    assert cost.ours.value.median == pytest.approx(0.1)


def test_cold_calls_are_told_by_their_medians() -> None:
    rounds = [Round([1.0, 2.0, 9.0], 5.0), Round([3.0, 4.0, 5.0], 7.0)]
    alone = Side("alone", Spread.of([0.5]))
    row = cold_start.row(Lab(), "cold", rounds, alone, cold_start.FIRST)
    assert row.ours is not None
    assert (row.ours.value, row.ours.cpu_per_1000, row.ours.p99) == (Spread(3.0, 2.0, 4.0), 6.0, 9.0)
    assert row.met
