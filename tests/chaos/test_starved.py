"""Processors that others have: heavy models beside a small one, and work that is not the server's at all."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from chaos.harness.accounts import scrape, sum_of
from chaos.harness.campaign import Campaign, campaign
from chaos.harness.footprint import all_workers
from chaos.harness.injectors import until
from chaos.harness.models import paced, right
from chaos.harness.sizes import PATIENCE, size
from support.walking import deploy, push_oracle, ready

pytestmark = [pytest.mark.process, pytest.mark.timeout(PATIENCE)]

HEAVY = """\
import numpy

from shoal.testing.faults import OracleModel

MATRIX = numpy.random.default_rng(1).random((256, 256))


class Heavy(OracleModel):
    def predict_all(self, inputs):
        for _ in range(16 * len(inputs)):
            MATRIX @ MATRIX
        return super().predict_all(inputs)
"""
WORKERS = 8
THREADS = 3
"""That a worker has at most: one computes, one reads, one may load."""
BUSY = 0.75
"""Of the processors' time that the heavy requests take."""
HEALTHY = 1.0
"""Seconds within which a health check answers, at the median."""


def heavy(folder: Path) -> None:
    """Write a model that multiplies matrices with whatever threads its libraries take, in eight workers."""
    home = folder / "heavy"
    home.mkdir()
    settings = {
        "runtime": "python",
        "implementation": "model:Heavy",
        "trust": "code",
        "batchable": True,
        "batching": {"max_size": 4, "queue_rows": 20_000},
        "limits": {"workers": WORKERS, "timeout_seconds": 60, "execution_seconds": 30},
    }
    (home / "model.py").write_text(HEAVY)
    (home / "model.yaml").write_text(json.dumps(settings))


def test_heavy_workers(tmp_path: Path) -> None:
    """Eight workers that multiply matrices, and a small model beside them: each has its thread, and all are answered."""
    requests = size(100, 20_000)
    paced(tmp_path, "small", workers=1, seconds=0.001)
    heavy(tmp_path)
    with campaign("heavy_workers", tmp_path) as chaos:
        until(lambda: sum_of(scrape(chaos.node.url), "shoal_workers_ready") == WORKERS + 1)
        chaos.warm(right("small"))
        with chaos.load(right("small"), rate=100) as alone:
            alone.reached(requests)
        rate = min(300.0, BUSY * (os.cpu_count() or 1) / seconds_of(chaos, "heavy"))
        most = 0
        with chaos.load(right("heavy"), rate=rate), chaos.load(right("small"), rate=100) as beside:
            while beside.ledger.ended < requests and not beside.ledger.faults:
                most = max(most, *map(threads, all_workers(chaos.pid)))
                time.sleep(0.05)
        chaos.figures |= {
            "heavy_rate": round(rate),
            "threads": most,
            "alone_p99_ms": round(alone.ledger.percentile(0.99) * 1000, 1),
            "beside_p99_ms": round(beside.ledger.percentile(0.99) * 1000, 1),
        }
    assert most <= THREADS


def seconds_of(chaos: Campaign, model: str) -> float:
    """What one request takes, at the median."""
    taken = []
    for _ in range(9):
        begun = time.monotonic()
        chaos.together(right(model))
        taken.append(time.monotonic() - begun)
    return statistics.median(taken)


def threads(pid: int) -> int:
    """Of a process."""
    return len(os.listdir(f"/proc/{pid}/task"))


def test_busy_processors(tmp_path: Path) -> None:
    """All processors are taken by others, twice: health and metrics are told, requests are answered, a drain ends."""
    with ExitStack() as busy:
        with campaign("busy_processors", home=tmp_path / "home") as chaos:
            with chaos.node.control() as control:
                push_oracle(control, "steady")
                control.move_stage("default", "steady", "production", "1")
                deploy(control, "steady")
                until(lambda: ready(control, "steady", 1))
            chaos.warm(right("steady", "1"))
            busy.enter_context(burning(2 * (os.cpu_count() or 1)))
            paths = ("/v2/health/live", "/v2/health/ready", "/metrics")
            urls = [f"{chaos.node.url}{path}" for path in paths] + [f"{chaos.node.control_url}/health/live"]
            with chaos.load(right("steady", "1"), rate=20):
                taken = sorted(seconds_to_answer(url) for _ in range(size(20, 2_000)) for url in urls)
            chaos.figures["health_ms"] = [round(1000 * taken[at]) for at in (len(taken) // 2, -1)]
            assert statistics.median(taken) < HEALTHY
        assert chaos.node.process.returncode == 0, chaos.node.log()


def seconds_to_answer(url: str) -> float:
    begun = time.monotonic()
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.status == 200
        answer.read()
    return time.monotonic() - begun


@contextmanager
def burning(count: int) -> Iterator[None]:
    """So many processes do nothing but turn."""
    turning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in turning:
            each.kill()
            each.wait()
