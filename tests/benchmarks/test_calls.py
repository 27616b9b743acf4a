from __future__ import annotations

import subprocess

import msgspec
import pytest

from benchmarks import calls
from benchmarks.calls import Outcome, Plan
from benchmarks.driver import DriverError

PLAN = Plan(port=1, models=[3, 4])


def ending(monkeypatch: pytest.MonkeyPatch, code: int, outcome: Outcome) -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], *, input: bytes, **_: object) -> subprocess.CompletedProcess[bytes]:
        assert msgspec.json.decode(input, type=Plan) == PLAN
        commands.append(command)
        return subprocess.CompletedProcess(command, code, msgspec.json.encode(outcome), b"no such port")

    monkeypatch.setattr(calls.subprocess, "run", run)
    return commands


def test_the_caller_runs_on_its_core(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome(times=[1.0, 2.0], seconds=0.5, cpu_seconds=0.1)
    commands = ending(monkeypatch, 0, outcome)
    assert calls.call(PLAN) == outcome
    assert commands[0][:3] == ("taskset", "-c", "1")
    assert outcome.rate == 4.0


def test_one_failed_call_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Outcome(times=[1.0, 2.0], seconds=0.5, cpu_seconds=0.1, failed=1, failures=["call 0 of 3: status 500"])
    ending(monkeypatch, 0, outcome)
    assert calls.attempt(PLAN) == outcome
    with pytest.raises(DriverError, match="1 of 2 calls failed: call 0 of 3: status 500"):
        calls.call(PLAN)


def test_a_caller_that_ends_badly_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ending(monkeypatch, 1, Outcome(times=[], seconds=1.0, cpu_seconds=0.0))
    with pytest.raises(DriverError, match="no such port"):
        calls.attempt(PLAN)


def test_parts_of_the_calls() -> None:
    outcome = Outcome(times=[5.0, 1.0, 9.0], seconds=3.0, cpu_seconds=0.0)
    assert calls.times_of([0, 7, 1], outcome, range(5)) == [5.0, 9.0]
    assert calls.part([5.0, 9.0]) == calls.Part(2, 9.0, 9.0)
    with pytest.raises(DriverError):
        calls.part([])


def test_an_outcome_is_a_sample() -> None:
    sample = calls.sample(Outcome(times=[2.0, 1.0], seconds=0.5, cpu_seconds=0.0), server_cpu_seconds=0.1)
    assert (sample.rate, sample.p99, sample.requests, sample.cpu_per_1000) == (4.0, 2.0, 2, 50.0)
