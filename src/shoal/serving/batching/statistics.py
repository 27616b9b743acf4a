"""The V2 statistics of one model version: counts and nanoseconds since it was loaded."""

from __future__ import annotations

import time

from shoal.core.ipc.messages import Done

MAX_SIZES = 128
"""Batch sizes that are told apart; those beyond are counted in the totals only."""


class Duration:
    """How many requests, and their time together."""

    __slots__ = ("count", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0

    def add(self, count: int, seconds: float) -> None:
        self.count += count
        self.seconds += seconds

    def to_json(self) -> dict[str, int]:
        return {"count": self.count, "ns": round(self.seconds * 1e9)}


class Stages:
    """Seconds of decoding, computing and encoding, summed over `count` requests or executions."""

    __slots__ = ("compute", "count", "decode", "encode")

    def __init__(self) -> None:
        self.count = 0
        self.decode = 0.0
        self.compute = 0.0
        self.encode = 0.0

    def add(self, count: int, done: Done) -> None:
        self.count += count
        self.decode += done.decode * count
        self.compute += done.compute * count
        self.encode += done.encode * count

    def to_json(self) -> dict[str, object]:
        """In the words of V2."""
        stages = {"compute_input": self.decode, "compute_infer": self.compute, "compute_output": self.encode}
        return {name: {"count": self.count, "ns": round(seconds * 1e9)} for name, seconds in stages.items()}


class Statistics:
    """See the module. A stage's time counts once for each request of the batch: it is what each has seen."""

    def __init__(self) -> None:
        self.rows = 0
        self.executions = 0
        self.last = 0.0
        self.success = Duration()
        self.failure = Duration()
        self.queue = Duration()
        self.stages = Stages()
        self.sizes: dict[int, Stages] = {}
        self.batches = 0

    def add_batch(self, done: Done, *, requests: int, waited: float) -> None:
        """A batch was answered; `waited` is its requests' time in the queue, together."""
        self.batches += 1
        self.rows += done.rows
        self.executions += done.executions
        self.last = time.time()
        self.queue.add(requests, waited)
        self.stages.add(requests, done)
        sizes = self.sizes.get(done.rows)
        if sizes is None:
            if len(self.sizes) >= MAX_SIZES:
                return
            sizes = self.sizes[done.rows] = Stages()
        sizes.add(done.executions, done)

    def means(self) -> dict[str, float]:
        """Where the time of a request goes, in milliseconds on average, and how many rows a batch has."""
        requests, batches = max(self.stages.count, 1), max(self.batches, 1)
        return {
            "requests": self.success.count,
            "failures": self.failure.count,
            "batches": self.batches,
            "rows_per_batch": self.rows / batches,
            "queue_ms": 1000 * self.queue.seconds / max(self.queue.count, 1),
            "decode_ms": 1000 * self.stages.decode / requests,
            "compute_ms": 1000 * self.stages.compute / requests,
            "encode_ms": 1000 * self.stages.encode / requests,
        }

    def to_json(self) -> dict[str, object]:
        """The fields of V2 statistics, without name and version."""
        return {
            "last_inference": round(self.last * 1000),
            "inference_count": self.rows,
            "execution_count": self.executions,
            "inference_stats": {
                "success": self.success.to_json(),
                "fail": self.failure.to_json(),
                "queue": self.queue.to_json(),
                **self.stages.to_json(),
                "cache_hit": Duration().to_json(),
                "cache_miss": Duration().to_json(),
            },
            "batch_stats": [{"batch_size": size, **self.sizes[size].to_json()} for size in sorted(self.sizes)],
        }
