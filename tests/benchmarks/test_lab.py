from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks import lab as module
from benchmarks.driver import DriverError
from benchmarks.lab import Contest, Lab
from benchmarks.peers import PEERS, Setup, Wire
from benchmarks.running import CannotStart
from benchmarks.summary import Target

CONTEST = Contest(1, "iris", Wire.JSON, 64, target=Target(15))


def starting(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    @contextmanager
    def running(peer: object, setup: Setup) -> Iterator[Any]:
        if error:
            raise error
        yield type("Server", (), {"peer": peer})()

    monkeypatch.setattr(module, "running", running)


def test_a_rival_that_does_not_start_is_a_row_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    starting(monkeypatch, CannotStart("mosec ended with 1: no such option"))
    (row,) = Lab().against(None, PEERS["mosec"], Setup(), [CONTEST])  # type: ignore[arg-type]
    assert (row.failure, row.against, row.met) == ("mosec ended with 1: no such option", "mosec", False)


def test_one_failed_contest_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    starting(monkeypatch, None)
    monkeypatch.setattr(Lab, "duel", lambda *_: (_ for _ in ()).throw(DriverError("3 errors")))
    rows = Lab().against(None, PEERS["mosec"], Setup(), [CONTEST, CONTEST])  # type: ignore[arg-type]
    assert [row.failure for row in rows] == ["3 errors", "3 errors"]


def test_in_a_hurry_only_targets_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    starting(monkeypatch, AssertionError("must not be started"))
    without = Contest(1, "iris", Wire.JSON, 64)
    assert Lab(thorough=False).against(None, PEERS["mosec"], Setup(), [without]) == []  # type: ignore[arg-type]


def test_peers_that_were_not_chosen_are_left_out() -> None:
    assert [peer.name for peer in Lab(chosen=("ray", "mosec")).peers("mosec", "kserve", "ray")] == ["mosec", "ray"]
