"""A long mix of good, wrong and abandoned requests leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.harness.campaign import campaign
from chaos.harness.footprint import MEBI
from chaos.harness.models import echoed, ends, mixed, right
from chaos.harness.sizes import PATIENCE, size
from support.faulty_models import faulty_model
from support.processes import resident_bytes, workers

pytestmark = [pytest.mark.process, pytest.mark.timeout(PATIENCE)]

SLOPE = 1 * MEBI / 100_000
"""Bytes that the server may grow by for each request."""
NOISE = 4 * MEBI
"""What one measurement differs from the next by."""
RATE = 400


def test_soak(tmp_path: Path) -> None:
    """Of 100 requests 88 are good, 9 wrong in three ways, and 3 are left by their caller."""
    requests = size(2_000, 300_000)
    faulty_model(tmp_path, "oracle", kind="OracleModel")
    faulty_model(tmp_path, "faults")
    traffic = mixed(
        (80, right("oracle")),
        (8, echoed("faults")),
        (3, ends("nosuch", "x", "not_found")),
        (3, ends("faults", "item:no", "invalid_input")),
        (3, ends("faults", "raise:no", "model_error")),
        (3, ends("faults", "sleep:0.01", "ok", "left", answers=["ok:sleep:0.01"], leave_after=0.005)),
    )
    with campaign("soak", tmp_path) as chaos:
        chaos.warm(traffic)
        hired = workers(chaos.pid)
        with chaos.load(traffic, rate=RATE) as load:
            load.reached(requests // 3)  # until everything has its size
            first, before = load.ledger.ended, resident_bytes(chaos.pid)
            load.reached(requests)
            grown, asked = resident_bytes(chaos.pid) - before, load.ledger.ended - first
        assert workers(chaos.pid) == hired, "nothing had to be replaced"
        chaos.figures |= {"grown_mebi": round(grown / MEBI, 2), "over": asked}
        assert grown < NOISE + SLOPE * asked, f"{grown / MEBI:.1f} MiB over {asked} requests"
