"""Gives calls their outcomes and counts them: accepted = ok + failed + shed + expired + cancelled + waiting, exactly.

All outcomes of a model version's calls go through here. A `Call` takes only one; what it does not take is not counted.
"""

from __future__ import annotations

import logging
from bisect import bisect_left

import msgspec

from shoal.core.call import Call, State
from shoal.core.errors import DeadlineExceeded, ModelError, ShoalError
from shoal.core.ipc.messages import OK, Done, decode_error
from shoal.serving.batching.instruments import ModelInstruments
from shoal.serving.batching.statistics import Statistics
from shoal.serving.pool.jobs import Job

logger = logging.getLogger(__name__)

_DONE = State.DONE


class Ledger:
    """See the module.

    Args:
        model: the name, for messages.
        instruments: the model version's metrics.
    """

    def __init__(self, model: str, instruments: ModelInstruments) -> None:
        self.model = model
        self.statistics = Statistics()
        self._instruments = instruments
        self._ok = instruments.outcome("ok")

    def deliver(self, job: Job, done: Done, payload: bytes | bytearray, now: float) -> None:
        """Give each call of an answered batch its item."""
        histogram = self._instruments.request_seconds
        counts, bounds, total, answered, at = histogram.counts, histogram.bounds, 0.0, 0, 0
        for call, status, length, json_length in zip(
            job.calls, done.statuses, done.lengths, done.json_lengths, strict=True
        ):
            start, at = at, at + length
            if call.state is _DONE:
                continue
            if status == OK:
                try:
                    call.answer(bytes(payload[start:at]), json_length)
                except Exception:
                    logger.exception("an answer could not be delivered", extra={"model": self.model})
                answered += 1
            else:
                self.fail(call, _error_of(payload[start:at]))
            elapsed = now - call.arrived
            counts[bisect_left(bounds, elapsed)] += 1
            total += elapsed
        histogram.sum += total
        self._ok.value += answered
        self.statistics.success.add(answered, total)
        self._observe(job, done)

    def _observe(self, job: Job, done: Done) -> None:
        instruments = self._instruments
        instruments.batch_rows.observe(done.rows)
        instruments.decode_seconds.observe(done.decode)
        instruments.compute_seconds.observe(done.compute)
        instruments.encode_seconds.observe(done.encode)
        instruments.worker_memory.value = done.memory_bytes
        self.statistics.add_batch(done, requests=len(job.calls), waited=job.waited)

    def fail(self, call: Call, error: ShoalError) -> None:
        """Give a call an error, unless it has its outcome already."""
        if call.state is _DONE:
            return
        try:
            call.fail(error)
        except Exception:
            logger.exception("an error could not be delivered", extra={"model": self.model})
        self._instruments.outcome(error.code).value += 1
        self.statistics.failure.count += 1

    def expire(self, call: Call) -> None:
        """The call's time is over."""
        seconds = call.deadline - call.arrived
        self.fail(call, DeadlineExceeded(f"no answer from model {self.model!r} within {seconds:.3g} seconds"))

    def cancel(self, call: Call) -> None:
        """The caller has gone."""
        if call.cancel():
            self._instruments.outcome("cancelled").value += 1


def _error_of(record: bytes | bytearray) -> ShoalError:
    """The error that a worker has sent for one item."""
    try:
        return decode_error(record).to_error()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ModelError("the model failed, and its worker's error could not be read")
