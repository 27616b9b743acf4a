"""Workers that are killed, stopped, locked and frozen under load: no request notices, but for those that they held."""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from chaos.harness.accounts import scrape, sum_of
from chaos.harness.campaign import Campaign, campaign
from chaos.harness.footprint import alive, all_workers
from chaos.harness.injectors import frozen, send, stopped, until
from chaos.harness.models import echoed, ends, mixed, paced, right, still
from chaos.harness.sizes import PATIENCE, size
from support.faulty_models import faulty_model
from support.processes import children

pytestmark = [pytest.mark.process, pytest.mark.timeout(PATIENCE)]

LIMIT = 0.5
"""Seconds that the model that hangs may take for a batch."""
MARGIN = 1.0
"""Seconds after its limit within which a hang is found."""
KILLED = "hangs, killed"
"""What the log says then."""
Hold = Callable[[list[int]], AbstractContextManager[None]]


def test_random_kills(tmp_path: Path) -> None:
    """SIGKILL to a worker at random moments, at half of what both can do."""
    kills = size(15, 1000)
    capacity = paced(tmp_path, "paced", workers=2)
    faulty_model(tmp_path, "echo", workers=2)
    with campaign("random_kills", tmp_path) as chaos:
        chaos.warm(mixed((9, right("paced")), (1, echoed("echo"))))
        chaos.spares = 2
        with chaos.load(right("paced"), rate=capacity / 2) as load, chaos.load(echoed("echo"), rate=20) as beside:
            for _ in range(kills):
                time.sleep(chaos.random.uniform(0.02, 0.2))
                until(lambda: metric(chaos, "shoal_workers_ready") >= 4)
                send(chaos.random.choice(all_workers(chaos.pid)), signal.SIGKILL)
                if load.ledger.faults or beside.ledger.faults:
                    break
        chaos.check_books()
        chaos.figures |= {"kills": kills, "retried": metric(chaos, "shoal_retries_total")}
        assert metric(chaos, "shoal_worker_restarts_total") == kills


def test_forks(tmp_path: Path) -> None:
    """Workers whose model has forked are killed and started anew: nobody waits, and what they forked ends with them."""
    starts, forked = size(4, 500), list[int]()
    faulty_model(tmp_path, "echo", workers=2)
    with campaign("forks", tmp_path) as chaos:
        chaos.warm(echoed("echo"))
        chaos.spares = 1
        with chaos.load(echoed("echo"), rate=50):
            for _ in range(starts):
                chaos.together(ends("echo", "fork", "ok", answers=["ok:fork"]))
                (worker,) = [pid for pid in all_workers(chaos.pid) if children(pid)]
                forked.extend(children(worker))
                send(worker, signal.SIGKILL)
                until(lambda: not alive(forked) and metric(chaos, "shoal_workers_ready") >= 2)
        chaos.check_books()
        chaos.figures["starts"] = starts
        assert metric(chaos, "shoal_worker_restarts_total") == starts


def test_hangs(tmp_path: Path) -> None:
    """A worker that stands still is found and killed within its model's limit and a second.

    By turns it is stopped by a signal, frozen by its cgroup, and holds the interpreter's lock for ever.
    """
    paced(tmp_path, "paced", workers=1)
    still(tmp_path, "still", limit=LIMIT)
    seconds = []
    with campaign("hangs", tmp_path) as chaos:
        chaos.warm(right("paced"))
        chaos.spares = 1
        with chaos.load(right("paced"), rate=50):
            for _ in range(size(1, 20)):
                seconds.append(found_within(chaos, stopped, "a"))
                seconds.append(found_within(chaos, frozen, "a"))
                seconds.append(found_within(chaos, lambda pids: nullcontext(), "hang"))
        chaos.figures["found_ms"] = sorted(round(each * 1000) for each in seconds)
    assert statistics.median(seconds) <= LIMIT + MARGIN


def found_within(chaos: Campaign, hold: Hold, text: str) -> float:
    """Seconds from asking a worker that stands still until it is killed; then it is gone, and its model answers again.

    The old freezer holds even SIGKILL back: the worker is gone once it is let go.
    """
    (told,) = chaos.together(ends("still", "pid", "ok", answers=None))
    deaths, found = metric(chaos, "shoal_worker_restarts_total"), chaos.node.log().count(KILLED)
    with hold([int(told.told)]):
        begun = time.monotonic()
        chaos.together(ends("still", text, "deadline_exceeded"), timeout=10)
        until(lambda: chaos.node.log().count(KILLED) > found)
        seconds = time.monotonic() - begun
    until(lambda: metric(chaos, "shoal_worker_restarts_total") > deaths)
    until(lambda: metric(chaos, "shoal_workers_ready") >= 2)
    chaos.together(echoed("still"))
    return seconds


def metric(chaos: Campaign, name: str) -> float:
    """The sum of a metric's series, now."""
    return sum_of(scrape(chaos.node.url), name)
