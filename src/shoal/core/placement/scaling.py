"""How many workers a service has: one pure step of its autoscaler.

Each target asks for a number of workers in the proportion of what is seen to what is wanted, and the one that asks for
most decides; within `TOLERANCE` of a target nothing changes. More is given at once, at most twice as many in one step;
less only when less has been enough for `scale_down_seconds`. Never below the minimum, never above the maximum. What
cannot be seen never takes a worker away. A service that may have none loses its last one after `idle_seconds` without
a request, and gets one back with the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from shoal.core.service import Autoscaling

TOLERANCE = 0.1
"""How far from a target is near enough: without it, small changes of load would start and stop workers."""
ROUNDING = 1e-9
"""Loads are sums and quotients of floats: 3.0000000001 workers are 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of a service since the last step.

    Attributes:
        now: monotonic seconds.
        ready: workers that answer.
        in_flight: requests that run or wait, held ones included.
        rate: requests per second of the service, or None: not known.
        latency_ms: median time of a request, or None: not known, or there was none.
        cpu_percent, gpu_percent: mean over the ready workers, or None: not known.
        idle_since: when the last request ended, or None while there are any.
    """

    now: float
    ready: int
    in_flight: float = 0.0
    rate: float | None = None
    latency_ms: float | None = None
    cpu_percent: float | None = None
    gpu_percent: float | None = None
    idle_since: float | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """What a step must know of those before.

    Attributes:
        wanted: workers asked for by the last step.
        needs: the highest needs of late, as (until when, workers), oldest and highest first.
    """

    wanted: int
    needs: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done: `replicas` workers, for `reason`; `memory` is for the next step."""

    replicas: int
    reason: str
    memory: Memory


def step(policy: Autoscaling, seen: Seen, memory: Memory) -> Step:
    """How many workers there are to be from now on."""
    least, most = policy.min_replicas, max(policy.max_replicas, policy.min_replicas)
    if _is_idle(policy, seen):
        return Step(0, f"no request for {policy.idle_seconds:g} seconds", Memory(0))
    floor = max(least, 1 if memory.wanted or seen.in_flight else 0)
    need, why = _need(policy, seen, memory.wanted)
    bounded = min(max(need, floor), most)
    needs = _needs(policy, seen.now, memory, bounded)
    replicas, reason = bounded, why
    if bounded > memory.wanted:
        replicas = min(bounded, max(2 * memory.wanted, memory.wanted + 1))
        replicas = max(replicas, floor)
        reason = why if replicas == bounded else f"{why}; at most twice as many at once"
    elif (highest := max(count for _, count in needs)) > bounded:
        replicas = min(highest, memory.wanted, most)
        reason = f"{why}, but {replicas} were needed in the last {policy.scale_down_seconds:g} seconds"
    elif need > most:
        reason = f"{why}, and the maximum is {most}"
    return Step(replicas, reason, Memory(replicas, needs))


def _is_idle(policy: Autoscaling, seen: Seen) -> bool:
    if policy.min_replicas > 0 or seen.in_flight or seen.idle_since is None:
        return False
    return seen.now - seen.idle_since >= policy.idle_seconds


def _need(policy: Autoscaling, seen: Seen, wanted: int) -> tuple[int, str]:
    """What the most demanding target asks for, and a sentence; the present number if one of them cannot be seen."""
    asked = [_total("requests in flight", seen.in_flight, policy.concurrency, wanted)]
    asked.append(_total("requests per second", seen.rate, policy.rate, wanted))
    quiet = seen.idle_since is not None and not seen.in_flight
    asked.append(_mean("ms of median latency", seen.latency_ms, policy.latency_ms, seen.ready, quiet=quiet))
    asked.append(_mean("% of the processor", seen.cpu_percent, policy.cpu_percent, seen.ready))
    asked.append(_mean("% of the card", seen.gpu_percent, policy.gpu_percent, seen.ready))
    targets = [each for each in asked if each is not None]
    if not targets:
        return max(wanted, policy.min_replicas), "no target is set"
    known = [each for each in targets if each[0] >= 0]
    need, why = max(known, default=(-1, ""))
    if len(known) < len(targets) and need < wanted:
        missing = next(each[1] for each in targets if each[0] < 0)
        return wanted, f"{missing} cannot be seen now, so nothing is taken away"
    return need, why


def _total(what: str, value: float | None, target: float | None, wanted: int) -> tuple[int, str] | None:
    """The need for a value that all workers share; None without a target, -1 without a value."""
    if target is None:
        return None
    if value is None or not math.isfinite(value):
        return -1, what
    if wanted and abs(value / (target * wanted) - 1) <= TOLERANCE:
        return wanted, f"{value:g} {what} are about {target:g} per worker"
    return _up(value / target), f"{value:g} {what} at {target:g} per worker"


def _mean(
    what: str, value: float | None, target: float | None, ready: int, *, quiet: bool = False
) -> tuple[int, str] | None:
    """The need for a value that each ready worker has; where nothing happens there is no latency, and no need."""
    if target is None:
        return None
    if value is None and quiet:
        return 0, f"no {what}"
    if value is None or not math.isfinite(value) or not ready:
        return -1, what
    ratio = value / target
    if abs(ratio - 1) <= TOLERANCE:
        return ready, f"{value:g} {what}, about the target of {target:g}"
    return _up(ready * ratio), f"{value:g} {what} where {target:g} is the target"


def _up(workers: float) -> int:
    return math.ceil(min(workers, 1e9) - ROUNDING)


def _needs(policy: Autoscaling, now: float, memory: Memory, need: int) -> tuple[tuple[float, int], ...]:
    """The needs of the window, this one last: only those that no later one exceeds.

    What the step before needed counts as needed until now: nobody knows about the time between.
    """
    before = (now, memory.needs[-1][1] if memory.needs else memory.wanted)
    start = now - policy.scale_down_seconds
    higher = [each for each in (*memory.needs[:-1], before) if each[0] > start and each[1] > need]
    return (*higher, (now, need))
