"""The metrics of batching and workers: one place that names them all, and children bound once per model version.

Histograms, never percentiles: those are computed by whoever reads them, over as many nodes as they like.
"""

from __future__ import annotations

from shoal.core.metrics import ROWS, Counter, Metrics

MODEL = ("model", "version")


class Instruments:
    """The families; made once per process from its `Metrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self.requests = metrics.counter(
            "shoal_requests_total", "Requests by outcome: ok, or the code of the error.", (*MODEL, "outcome")
        )
        self.request_seconds = metrics.histogram(
            "shoal_request_seconds", "From a request's acceptance to its outcome by the model.", MODEL
        )
        self.queue_seconds = metrics.histogram(
            "shoal_queue_seconds", "From a request's acceptance to its batch's leaving for a worker.", MODEL
        )
        self.batch_rows = metrics.histogram("shoal_batch_rows", "Rows of a batch.", MODEL, ROWS)
        self.decode_seconds = metrics.histogram("shoal_decode_seconds", "Decoding of a batch in the worker.", MODEL)
        self.compute_seconds = metrics.histogram("shoal_compute_seconds", "The model's own time for a batch.", MODEL)
        self.encode_seconds = metrics.histogram("shoal_encode_seconds", "Encoding of a batch's answers.", MODEL)
        self.queue_rows = metrics.gauge("shoal_queue_rows", "Rows that wait for a worker.", MODEL)
        self.queue_bytes = metrics.gauge("shoal_queue_bytes", "Bytes of bodies that wait for a worker.", MODEL)
        self.batch_limit = metrics.gauge("shoal_batch_limit_rows", "Rows that a batch may hold now.", MODEL)
        self.workers = metrics.gauge("shoal_workers_ready", "Workers that take requests.", MODEL)
        self.worker_memory = metrics.gauge(
            "shoal_worker_memory_bytes", "Resident memory of the last seen worker.", MODEL
        )
        self.restarts = metrics.counter(
            "shoal_worker_restarts_total",
            "Deaths of workers by reason: a signal, exit_N, oom, hang.",
            (*MODEL, "reason"),
        )
        self.retries = metrics.counter("shoal_retries_total", "Requests run again after the death of a worker.", MODEL)
        self.poison = metrics.counter(
            "shoal_poison_total",
            "Inputs found to kill workers (found), and refused for that (refused).",
            (*MODEL, "what"),
        )


class ModelInstruments:
    """The children of one model version."""

    def __init__(self, families: Instruments, model: str, version: str) -> None:
        self._families = families
        self._labels = (model, version)
        self.request_seconds = families.request_seconds.labels(model, version)
        self.queue_seconds = families.queue_seconds.labels(model, version)
        self.batch_rows = families.batch_rows.labels(model, version)
        self.decode_seconds = families.decode_seconds.labels(model, version)
        self.compute_seconds = families.compute_seconds.labels(model, version)
        self.encode_seconds = families.encode_seconds.labels(model, version)
        self.queue_rows = families.queue_rows.labels(model, version)
        self.queue_bytes = families.queue_bytes.labels(model, version)
        self.batch_limit = families.batch_limit.labels(model, version)
        self.workers = families.workers.labels(model, version)
        self.worker_memory = families.worker_memory.labels(model, version)
        self.retries = families.retries.labels(model, version)
        self.poison_found = families.poison.labels(model, version, "found")
        self.poison_refused = families.poison.labels(model, version, "refused")
        self.outcomes: dict[str, Counter] = {"ok": families.requests.labels(model, version, "ok")}

    def outcome(self, code: str) -> Counter:
        """The counter of requests that ended so."""
        counter = self.outcomes.get(code)
        if counter is None:
            counter = self.outcomes[code] = self._families.requests.labels(*self._labels, code)
        return counter

    def restarted(self, reason: str) -> None:
        """A worker has died for this reason."""
        self._families.restarts.labels(*self._labels, reason).inc()
