from __future__ import annotations

import pytest

from benchmarks import popularity
from benchmarks.calls import Outcome, Plan
from benchmarks.lab import Lab
from benchmarks.popularity import Player, zipf
from benchmarks.summary import Rounds


class Server:
    """Stands in for `running.Server`; every call costs a hundredth of a second of CPU time."""

    site = type("Site", (), {"http": 1})()
    spent = 0.0

    def cpu_seconds(self) -> float:
        self.spent += 0.1
        return self.spent


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    made: list[Plan] = []

    def call(plan: Plan) -> Outcome:
        made.append(plan)
        return Outcome(times=[float(each) for each in plan.models], seconds=2.0, cpu_seconds=0.1, held=[7])

    monkeypatch.setattr(popularity.calls, "call", call)
    return made


def test_the_most_popular_is_called_most_and_the_seed_decides() -> None:
    order = zipf(100, 5000, seed=1)
    counts = [order.count(rank) for rank in (0, 9, 99)]
    assert counts == sorted(counts, reverse=True)
    assert set(order) <= set(range(100))
    assert order == zipf(100, 5000, seed=1) != zipf(100, 5000, seed=2)


def test_shares_are_those_of_the_law() -> None:
    order = zipf(1000, 100_000, seed=3)
    assert order.count(0) / order.count(1) == pytest.approx(2**popularity.EXPONENT, rel=0.1)


def test_a_player_remembers_what_its_caller_has_loaded(plans: list[Plan]) -> None:
    player = Player(Server(), keep=2, held=[0])  # type: ignore[arg-type]
    player.play([1, 2])
    player.play([3], rate=5.0)
    assert [plan.held for plan in plans] == [[0], [7]]
    assert [(plan.keep, plan.again, plan.rate) for plan in plans] == [(2, popularity.AGAIN, 0.0), (2, 3, 5.0)]


def test_scores_are_split_by_model(plans: list[Plan], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lab, "rounds", lambda *_: Rounds("shoal"))
    player = Player(Server())  # type: ignore[arg-type]
    player.begin(Lab())
    player.score([1, 2, 30, 40])
    assert player.p99s(range(10)) == [2.0]
    side = player.latency(range(10, 50))
    assert (side.name, side.value.median, side.p50) == ("shoal", 40.0, 40.0)
    assert side.cpu_per_1000 == pytest.approx(25.0)
    assert player.rounds.samples[0].rate == 2.0
