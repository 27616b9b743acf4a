"""The metrics of shared pools: one place that names them all, filled from the pools' counters when they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shoal.core.metrics import Counter, Family, Metrics
from shoal.serving.pool.shared.pool import SharedPool

POOL = ("pool",)


class PoolInstruments:
    """The families; made once per process from its `Metrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self.loads = metrics.counter("shoal_pool_loads_total", "Models loaded by workers of a shared pool.", POOL)
        self.load_seconds = metrics.counter(
            "shoal_pool_load_seconds_total", "Time that these loads took in the workers.", POOL
        )
        self.failures = metrics.counter("shoal_pool_load_failures_total", "Loads that failed.", POOL)
        self.evictions = metrics.counter(
            "shoal_pool_evictions_total",
            "Models let go of, by why: pressure, idle, limit, stopped.",
            (*POOL, "why"),
        )
        self.reclaimed = metrics.counter(
            "shoal_pool_reclaimed_bytes_total", "Memory that came back for models let go of, as measured.", POOL
        )
        self.refused = metrics.counter("shoal_pool_refused_total", "Models for which there was no room.", POOL)
        self.replaced = metrics.counter(
            "shoal_pool_workers_replaced_total", "Workers replaced because they kept memory, or were worn.", POOL
        )
        self.deaths = metrics.counter(
            "shoal_pool_worker_deaths_total", "Workers that died, by reason.", (*POOL, "reason")
        )
        self.models = metrics.gauge("shoal_pool_models", "Models in memory.", (*POOL, "worker"))
        self.bytes = metrics.gauge(
            "shoal_pool_model_bytes",
            "What the models in memory take, as measured at load.",
            (*POOL, "worker"),
        )

    def update(self, pools: Iterable[SharedPool]) -> None:
        """Bring all of them up to date."""
        for pool in pools:
            counters = pool.counters
            self.loads.labels(pool.name).value = counters.loads
            self.load_seconds.labels(pool.name).value = counters.load_seconds
            self.failures.labels(pool.name).value = counters.load_failures
            self.reclaimed.labels(pool.name).value = counters.reclaimed_bytes
            self.refused.labels(pool.name).value = counters.refused
            self.replaced.labels(pool.name).value = counters.replaced
            _set(self.evictions, pool.name, counters.evictions)
            _set(self.deaths, pool.name, counters.deaths)
            for place in pool.places:
                self.models.labels(pool.name, place.name).value = len(place.residents)
                self.bytes.labels(pool.name, place.name).value = place.residents.bytes


def _set(family: Family[Counter], pool: str, counts: Mapping[str, int]) -> None:
    for why, count in counts.items():
        family.labels(pool, why).value = count
