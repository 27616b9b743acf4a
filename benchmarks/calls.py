"""Calls of many models: what is to be called, and what came of it. The calls are made by `caller` in its own process.

wrk and h2load repeat one request; here each call has a model of its own, and each answer is compared with the one that
only the right model can give.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from benchmarks.driver import DriverError, percentile
from benchmarks.paths import HERE, PYTHON
from benchmarks.summary import Sample


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is called, in order.

    Attributes:
        port: of the server.
        models: numbers of the models, one for each call (see `shelf`); of texts, the number of the text.
        connections: each has one call at a time.
        rate: calls per second at a constant pace, whatever the server does; 0: as fast as answers come.
        keep: models that the caller keeps loaded over the server's repository API; 0: the server sees to that itself.
        held: those that it has loaded already.
        text: the model of texts that is called instead (`shoal.testing.faults.OracleModel`); its name.
        again: how often a request is sent again whose connection was lost before the answer.
        timeout: seconds that a call may take.
        core: where the caller runs, or None: anywhere.
    """

    port: int
    models: list[int]
    connections: int = 64
    rate: float = 0.0
    keep: int = 0
    held: list[int] = []
    text: str = ""
    again: int = 0
    timeout: float = 60.0
    core: int | None = 1


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        times: milliseconds of each call, in the order of the plan; at a pace, from when the call was due.
        seconds: from the first call to the last answer.
        cpu_seconds: of the caller itself.
        failures: what was answered wrongly or not at all, at most a hundred of them.
        failed: how many.
        loads: how often the caller had to load a model.
        held: the models that it has loaded now.
        versions: answers by the version that gave them, for texts.
    """

    times: list[float]
    seconds: float
    cpu_seconds: float
    failures: list[str] = []
    failed: int = 0
    loads: int = 0
    held: list[int] = []
    versions: dict[str, int] = {}

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.times) / self.seconds


def call(plan: Plan, *, timeout: float = 900.0) -> Outcome:
    """Make the calls.

    Raises:
        DriverError: a call failed, or the caller did.
    """
    outcome = attempt(plan, timeout=timeout)
    if outcome.failed:
        raise DriverError(f"{outcome.failed} of {len(plan.models)} calls failed: {outcome.failures[0]}")
    return outcome


def attempt(plan: Plan, *, timeout: float = 900.0) -> Outcome:
    """Make the calls; those that fail are told.

    Raises:
        DriverError: the caller failed.
    """
    pinned = () if plan.core is None else ("taskset", "-c", str(plan.core))
    command = (*pinned, str(PYTHON), "-m", "benchmarks.caller")
    done = subprocess.run(
        command, input=msgspec.json.encode(plan), capture_output=True, cwd=HERE.parent, timeout=timeout
    )
    if done.returncode:
        raise DriverError(f"the caller ended with {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
    return msgspec.json.decode(done.stdout, type=Outcome)


@dataclass(frozen=True)
class Part:
    """Latencies of some of the calls, in milliseconds."""

    calls: int
    p50: float
    p99: float


def part(times: Sequence[float]) -> Part:
    """Of these calls.

    Raises:
        DriverError: there are none.
    """
    if not times:
        raise DriverError("no call was of this part")
    ordered = sorted(times)
    return Part(len(ordered), percentile(ordered, 0.5), percentile(ordered, 0.99))


def times_of(order: Sequence[int], outcome: Outcome, which: range) -> list[float]:
    """Latencies of the calls of these models, in milliseconds."""
    return [time for model, time in zip(order, outcome.times, strict=True) if model in which]


def sample(outcome: Outcome, server_cpu_seconds: float) -> Sample:
    """The outcome as a timed run."""
    ordered, calls = sorted(outcome.times), len(outcome.times)
    p50, p95, p99 = (percentile(ordered, share) for share in (0.5, 0.95, 0.99))
    return Sample(outcome.rate, p50, p95, p99, calls, 0, 1000 * server_cpu_seconds / calls)
