"""What campaigns serve: oracles at a given pace, and what their callers ask them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

from chaos.harness.ledger import Ask, canary
from chaos.harness.load import Traffic
from shoal.testing.faults import oracle

MODEL = """\
import time

from shoal.testing.faults import OracleModel


class Paced(OracleModel):
    def predict_all(self, inputs):
        time.sleep(self.parameters["seconds"])
        return super().predict_all(inputs)
"""

STILL = """\
import os

from shoal.testing.faults import FaultModel


class Still(FaultModel):
    def predict_all(self, inputs):
        return [str(os.getpid()) if text == "pid" else each for text, each in zip(inputs, super().predict_all(inputs))]
"""


def paced(folder: Path, name: str, *, workers: int = 2, seconds: float = 0.01, size: int = 4) -> float:
    """Write an oracle that takes so long for each batch; returns the requests per second that it can answer."""
    home = folder / name
    home.mkdir(parents=True)
    settings = {
        "runtime": "python",
        "implementation": "model:Paced",
        "trust": "code",
        "batchable": True,
        "parameters": {"seconds": seconds},
        "batching": {"policy": "adaptive", "max_size": size, "queue_rows": 20_000},
        "limits": {"workers": workers, "timeout_seconds": 60, "execution_seconds": 10},
    }
    (home / "model.py").write_text(MODEL)
    (home / "model.yaml").write_text(json.dumps(settings))
    return workers * size / seconds


def still(folder: Path, name: str, *, limit: float) -> None:
    """Write a `FaultModel` that tells its process when asked for ``pid``, and may take so long for a batch."""
    home = folder / name
    home.mkdir(parents=True)
    settings = {
        "runtime": "python",
        "implementation": "model:Still",
        "trust": "code",
        "limits": {"timeout_seconds": limit, "execution_seconds": limit},
    }
    (home / "model.py").write_text(STILL)
    (home / "model.yaml").write_text(json.dumps(settings))


def right(model: str, versions: Sequence[str] = ("",)) -> Traffic:
    """Texts that one of these versions of an oracle must answer."""

    def ask(number: int, random: Random) -> Ask:
        text = f"{canary(number)} {random.random()}"
        return Ask(model, text, frozenset(oracle(text, version) for version in versions))

    return ask


def echoed(model: str) -> Traffic:
    """Texts that a `FaultModel` gives back, canary and all: another's would be seen."""

    def ask(number: int, random: Random) -> Ask:
        text = f"{canary(number)} {random.random()}"
        return Ask(model, text, frozenset((f"ok:{text}",)))

    return ask


def mixed(*parts: tuple[float, Traffic]) -> Traffic:
    """One of several, by weight."""
    weights, kinds = zip(*parts, strict=True)

    def ask(number: int, random: Random) -> Ask:
        (kind,) = random.choices(kinds, weights)
        return kind(number, random)

    return ask


def ends(
    model: str, text: str, *outcomes: str, answers: Sequence[str] | None = (), leave_after: float | None = None
) -> Traffic:
    """A text that must end with one of these outcomes; `answers` are right where "ok" is one of them."""

    def ask(number: int, random: Random) -> Ask:
        return Ask(model, text, None if answers is None else frozenset(answers), frozenset(outcomes), leave_after)

    return ask
