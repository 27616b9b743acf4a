"""Killed at any moment: after a restart there is the state before the change that was under way, or the one after it,
to the last row; and whatever was acknowledged is there.
"""

from __future__ import annotations

import itertools
import random
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from shoal.control.registry import Registry, open_registry
from support import churn
from support.postgres import Postgres
from support.tools import needs

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

CALLS = ("pwrite64", "fdatasync", "ftruncate", "unlink")
"""All that SQLite uses to change its files."""
CHANGES = 12
"""Changes in which a call is looked for."""


class Oracle:
    """A registry that makes the same changes in peace."""

    def __init__(self, folder: Path) -> None:
        self._url = f"sqlite:///{folder}/oracle.db"
        self.registry: Registry = open_registry(self._url, clock=lambda: churn.NOW)
        self.done = 0
        self.unmade: set[int] = set()

    def meets(self, url: str, acknowledged: int) -> None:
        """Assert that a registry has what was acknowledged, and at most the one change after it."""
        while self.done < acknowledged:
            self._go_on()
        with closing(open_registry(url)) as opened:
            left = churn.visible(opened)
            assert opened.verify_audit().broken == 0
        if left != churn.visible(self.registry):
            self._go_on()
            assert left == churn.visible(self.registry)
        if url.startswith("sqlite"):
            assert churn.picture(url) == churn.picture(self._url)

    def _go_on(self) -> None:
        self.done += 1
        if self.done not in self.unmade:
            churn.change(self.registry, self.done)


@pytest.fixture
def oracle(tmp_path: Path) -> Iterator[Oracle]:
    made = Oracle(tmp_path)
    yield made
    made.registry.close()


@contextmanager
def _churning(
    url: str, first: int, before: tuple[str, ...] = (), last: int = 1_000_000
) -> Iterator[subprocess.Popen[bytes]]:
    command = [*before, *churn.command(url, first, last)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=churn.environment()) as process:
        try:
            yield process
            process.wait(30)
        finally:
            process.kill()


def _acknowledged(process: subprocess.Popen[bytes], oracle: Oracle, done: int) -> int:
    assert process.stdout
    told = [tuple(map(int, line.split())) for line in process.stdout.read().splitlines()]
    oracle.unmade |= {number for number, made in told if not made}
    return told[-1][0] if told else done


def _kill_at_random(url: str, oracle: Oracle, times: int) -> None:
    dice = random.Random()
    for _ in range(times):
        with _churning(url, oracle.done + 1) as process:
            assert process.stdout
            for _ in range(dice.randint(1, 12)):
                line = process.stdout.readline()
                assert line, process.stderr and process.stderr.read()
            done = int(line.split()[0])
            select.select([process.stdout], [], [], dice.uniform(0, 0.004))  # somewhere in the next change
            process.kill()
            done = _acknowledged(process, oracle, done)
        oracle.meets(url, done)


def _kill_at_call(path: Path, oracle: Oracle, call: str, number: int) -> bool:
    """Kill instead of the given system call on one of the database's files; False: there were not so many."""
    code = _run_with(path, oracle, call, f"signal=KILL:when={number}")
    assert code in (0, -signal.SIGKILL)
    return code != 0


def _run_with(path: Path, oracle: Oracle, call: str, fault: str) -> int:
    """Make some changes with a fault in them, compare, and tell how the process ended."""
    files = [f"{path}{suffix}" for suffix in ("", "-wal", "-shm", "-journal")]
    filters = [part for each in files for part in ("-P", each)]
    inject = ("-e", f"trace={call}", "-e", f"inject={call}:{fault}")
    strace = (needs("strace"), "-f", "-qq", "-o", f"{path}.trace", *filters, *inject)
    with _churning(f"sqlite:///{path}", oracle.done + 1, strace, last=oracle.done + CHANGES) as process:
        done = _acknowledged(process, oracle, oracle.done)
    oracle.meets(f"sqlite:///{path}", done)
    return process.returncode


def test_killed_at_random_moments(tmp_path: Path, oracle: Oracle) -> None:
    _kill_at_random(f"sqlite:///{tmp_path}/registry.db", oracle, times=15)


def test_a_client_of_postgres_killed_at_random_moments(postgres: Postgres, oracle: Oracle) -> None:
    with postgres.schema() as url:
        _kill_at_random(url, oracle, times=4)


@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_killed_at_some_calls_that_write(tmp_path: Path, oracle: Oracle, call: str) -> None:
    hits = [_kill_at_call(tmp_path / "registry.db", oracle, call, number) for number in (1, 2, random.randint(3, 5))]
    assert all(hits)


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_no_write_at_some_calls(tmp_path: Path, oracle: Oracle, error: str) -> None:
    for number in (3, 4, random.randint(5, 30)):
        fresh = tmp_path / f"{number}.db"
        assert _run_with(fresh, oracle, "pwrite64", f"error={error}:when={number}+") == 1, "it must not start"
    for _ in range(2):
        assert _run_with(fresh, oracle, "pwrite64", f"error={error}:when={random.randint(20, 40)}+") == 0
    assert len(oracle.unmade) < oracle.done


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_random_moments_for_long(tmp_path: Path, oracle: Oracle) -> None:
    _kill_at_random(f"sqlite:///{tmp_path}/registry.db", oracle, times=200)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("call", CALLS)
def test_killed_at_every_call_that_writes(tmp_path: Path, call: str) -> None:
    numbers = itertools.count(1)
    while _kill_at_each(tmp_path, call, next(numbers)):
        pass
    assert next(numbers) > 2


def _kill_at_each(folder: Path, call: str, number: int) -> bool:
    mine = folder / str(number)
    mine.mkdir()
    peaceful = Oracle(mine)
    hit = _kill_at_call(mine / "registry.db", peaceful, call, number)
    peaceful.registry.close()
    return hit
