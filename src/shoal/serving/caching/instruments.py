"""The metrics of the prediction cache: one place that names them all."""

from __future__ import annotations

from shoal.core.metrics import Metrics
from shoal.serving.batching.instruments import MODEL


class CacheFamilies:
    """The families; made once per process from its `Metrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self.requests = metrics.counter(
            "shoal_cache_requests_total",
            "Requests of services with a prediction cache: hit, miss (asked of the model), joined (waited for the same "
            "request of another caller), passed (too large, or more urgent). Of these, hit and joined are not among "
            "`shoal_requests_total`, as the model never saw them.",
            (*MODEL, "what"),
        )
        self.bytes = metrics.gauge("shoal_cache_bytes", "Bytes of answers in the prediction cache.", MODEL)
        self.evictions = metrics.counter(
            "shoal_cache_evictions_total", "Answers that left the prediction cache for want of room.", MODEL
        )


class CacheInstruments:
    """The children of one model version."""

    def __init__(self, families: CacheFamilies, model: str, version: str) -> None:
        self.hits = families.requests.labels(model, version, "hit")
        self.misses = families.requests.labels(model, version, "miss")
        self.joined = families.requests.labels(model, version, "joined")
        self.passed = families.requests.labels(model, version, "passed")
        self.bytes = families.bytes.labels(model, version)
        self.evictions = families.evictions.labels(model, version)
