"""What one tenant may ask of this node: so many requests and rows a second, so many requests at a time. Pure.

A rate is a token bucket, kept as the moment at which it will be full. A request is counted when it is let in, its
place is given back with its outcome; who is refused is told why, and when trying again makes sense. Tenants that ask
for nothing are forgotten, and if there are more of them at once than are kept, those that come last share one meter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from shoal.core.errors import QuotaExceeded
from shoal.core.limits import TenantLimits
from shoal.core.metrics import Counter, Metrics

MOST_TENANTS = 10_000
"""Meters that are kept; whoever comes when all of them are in use shares one."""
MOST_LABELS = 200
"""Tenants that the metrics tell by name, beside those of the settings; all others are "other"."""
OTHERS = "other"
SHORTEST_RETRY = 0.05
"""Seconds after which a place for a request may be free."""


class Bucket:
    """A token bucket: `rate` tokens a second, at most `burst` of them."""

    __slots__ = ("_burst", "_full_at", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._full_at = -math.inf

    def wait(self, count: float, now: float) -> float:
        """Seconds until so many may be taken; 0: now. What is more than a whole bucket may be taken from a full one."""
        return max(0.0, self._full_at - now - max(0.0, self._burst - count) / self._rate)

    def take(self, count: float, now: float) -> None:
        self._full_at = max(self._full_at, now) + count / self._rate

    def full(self, now: float) -> bool:
        """Whether nothing is known of it that matters."""
        return self._full_at <= now


class Meter:
    """What one tenant has asked for.

    Attributes:
        in_flight: requests without an outcome.
    """

    __slots__ = ("_concurrency", "_outcomes", "_requests", "_rows", "in_flight")

    def __init__(self, limits: TenantLimits, outcomes: Outcomes) -> None:
        self._requests = Bucket(limits.rate, limits.burst or max(1.0, limits.rate)) if limits.rate else None
        rows = limits.rows_per_second
        self._rows = Bucket(rows, limits.rows_burst or max(1.0, rows)) if rows else None
        self._concurrency = limits.concurrency or math.inf
        self._outcomes = outcomes
        self.in_flight = 0

    def enter(self, tenant: str, rows: int, now: float) -> Meter:
        """Let a request in; `leave` is to be called with its outcome.

        Raises:
            QuotaExceeded: it may not come in now.
        """
        if self.in_flight >= self._concurrency:
            self._outcomes.concurrency.value += 1
            raise _exceeded(tenant, f"{self.in_flight} of its requests are under way", SHORTEST_RETRY)
        if self._requests is not None and (wait := self._requests.wait(1, now)) > 0:
            self._outcomes.requests.value += 1
            raise _exceeded(tenant, "it sends requests faster than it may", wait)
        if self._rows is not None and (wait := self._rows.wait(rows, now)) > 0:
            self._outcomes.rows.value += 1
            raise _exceeded(tenant, "it sends rows faster than it may", wait)
        if self._requests is not None:
            self._requests.take(1, now)
        if self._rows is not None:
            self._rows.take(rows, now)
        self.in_flight += 1
        self._outcomes.admitted.value += 1
        return self

    def leave(self) -> None:
        """A request that came in has its outcome."""
        self.in_flight -= 1

    def idle(self, now: float) -> bool:
        """Whether it may be forgotten without anybody's noticing."""
        return not self.in_flight and all(each is None or each.full(now) for each in (self._requests, self._rows))


class Outcomes:
    """One tenant's counters."""

    __slots__ = ("admitted", "concurrency", "requests", "rows")

    def __init__(self, admitted: Counter, requests: Counter, rows: Counter, concurrency: Counter) -> None:
        self.admitted = admitted
        self.requests = requests
        self.rows = rows
        self.concurrency = concurrency


class Quotas:
    """See the module.

    Args:
        tenants: limits by tenant.
        default: of all others, and of nobody in particular; None: they have none.
        metrics: where requests are counted by tenant.
    """

    def __init__(self, tenants: Mapping[str, TenantLimits], default: TenantLimits | None, *, metrics: Metrics) -> None:
        self._limits = dict(tenants)
        self._default = default or TenantLimits()
        self._family = metrics.counter(
            "shoal_tenant_requests_total",
            "Requests by tenant: admitted, or refused for its quota of requests, rows or concurrency.",
            ("tenant", "outcome"),
        )
        self._meters: dict[str, Meter] = {}
        self._named = set(tenants)
        self._others: Meter | None = None

    def enter(self, tenant: str, rows: int, now: float) -> Meter:
        """Let a tenant's request in; `leave` of what is returned is to be called with its outcome.

        Raises:
            QuotaExceeded: it may not come in now; says when it makes sense to try again.
        """
        meter = self._meters.get(tenant)
        if meter is None:
            meter = self._meter(tenant, now)
        return meter.enter(tenant, rows, now)

    def _meter(self, tenant: str, now: float) -> Meter:
        if len(self._meters) >= MOST_TENANTS:
            self._meters = {name: meter for name, meter in self._meters.items() if not meter.idle(now)}
            if len(self._meters) >= MOST_TENANTS:
                self._others = self._others or Meter(self._default, self._outcomes(OTHERS))
                return self._others
        limits = self._limits.get(tenant, self._default)
        meter = self._meters[tenant] = Meter(limits, self._outcomes(self._label(tenant)))
        return meter

    def _label(self, tenant: str) -> str:
        if tenant not in self._named and len(self._named) >= MOST_LABELS + len(self._limits):
            return OTHERS
        self._named.add(tenant)
        return tenant

    def _outcomes(self, label: str) -> Outcomes:
        return Outcomes(*(self._family.labels(label, what) for what in ("admitted", "requests", "rows", "concurrency")))


def _exceeded(tenant: str, why: str, retry_after: float) -> QuotaExceeded:
    who = f"tenant {tenant!r}" if tenant else "whoever asks without a name"
    return QuotaExceeded(f"{who} is above its quota: {why}", hint="send less, or ask for more", retry_after=retry_after)
