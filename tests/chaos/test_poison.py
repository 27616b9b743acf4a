"""Inputs that kill workers, among others that do not: the others are answered, and what killed once never kills again."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.harness.accounts import scrape, sum_of
from chaos.harness.campaign import Campaign, campaign
from chaos.harness.models import echoed, ends
from chaos.harness.sizes import PATIENCE, size
from support.faulty_models import faulty_model

pytestmark = [pytest.mark.process, pytest.mark.timeout(PATIENCE)]

BATCH, DEATHS, REPEATS = 32, 6, 20


def test_poison_in_a_batch_of_32(tmp_path: Path) -> None:
    """One of 32 kills; it is found with at most six deaths, and its repeats cost none."""
    faulty_model(tmp_path, "faults", policy="fixed", size=BATCH, wait=200)
    with campaign("poison", tmp_path) as chaos:
        chaos.warm(echoed("faults"))
        chaos.spares = 1
        died = []
        for turn in range(size(1, 50)):
            kind = chaos.random.choice(("segv", "abort", "exit"))
            poison = ends("faults", f"{kind}:{turn + 1}", "poison_input")
            batch = [echoed("faults")] * (BATCH - 1)
            batch.insert(chaos.random.randrange(BATCH), poison)
            before = deaths(chaos)
            chaos.together(*batch)
            died.append(deaths(chaos) - before)
            for _ in range(REPEATS):
                chaos.together(poison)
            chaos.check_books()
            assert deaths(chaos) - before == died[-1], "a repeat costs no death"
        chaos.figures["deaths"] = sorted(died)
        assert min(died) >= 1
        assert max(died) <= DEATHS


def deaths(chaos: Campaign) -> int:
    """Of all workers so far."""
    return int(sum_of(scrape(chaos.node.url), "shoal_worker_restarts_total"))
