"""Outcomes are counted and measured; what a worker says of an item that failed, when it cannot be read."""

from __future__ import annotations

import msgspec
import pytest

from shoal.core.errors import DeadlineExceeded, InvalidInput, ModelError
from shoal.core.ipc import messages
from shoal.core.metrics import Histogram
from shoal.serving.batching.ledger import _error_of
from support.calls import RecordedCall
from support.fake_workers import Bench, echo


@pytest.mark.parametrize("record", [b"", b"\xc1", b"\x92\xa1a\xa1\xff", b"\x93\xa4code"])
def test_an_error_that_cannot_be_read_is_the_models(record: bytes) -> None:
    assert type(_error_of(record)) is ModelError


def test_an_error_keeps_its_kind() -> None:
    error = _error_of(messages.encode(InvalidInput("no", field="inputs").to_record()))
    assert (type(error), str(error), error.field) == (InvalidInput, "no", "inputs")


def test_a_batch_is_measured_once_and_each_request_from_its_arrival() -> None:
    bench = Bench()
    for _ in range(2):
        bench.submit(1, rows=2)
        bench.loop.advance(0.25)
    bench.workers.finish()
    bench.loop.turn()
    job = bench.workers.jobs.pop()
    done, payload = echo(job)
    done = msgspec.structs.replace(done, decode=0.125, compute=0.25, encode=0.5, memory_bytes=4096)
    bench.loop.advance(0.5)
    job.owner.done(job, done, payload)
    told = bench.instruments
    assert _seen(told.batch_rows) == (2, 4.0)
    assert _seen(told.decode_seconds) == (2, 0.125)
    assert _seen(told.compute_seconds) == (2, 0.251)
    assert _seen(told.encode_seconds) == (2, 0.5)
    assert _seen(told.request_seconds) == (2, 0.5 + 0.75)
    assert told.worker_memory.value == 4096
    assert told.request_seconds.counts[told.request_seconds.bounds.index(0.5)] == 1
    assert (bench.ledger.statistics.success.count, bench.ledger.statistics.success.seconds) == (2, 1.25)
    assert bench.ledger.statistics.queue.count == 2


def _seen(histogram: Histogram) -> tuple[int, float]:
    return sum(histogram.counts), histogram.sum


def test_failures_are_counted_once_and_measured_with_their_batch() -> None:
    bench = Bench()
    bench.submit(3)
    bench.loop.turn()
    bench.loop.advance(0.5)
    bench.batcher.cancel(bench.calls[1])
    bench.workers.finish(errors={0: ModelError("no")})
    bench.ledger.fail(bench.calls[0], ModelError("again"))
    assert bench.outcomes() == {"model_error": 1, "ok": 1, "cancelled": 1}
    assert bench.ledger.statistics.failure.count == 1
    assert bench.ledger.statistics.success.count == 1
    assert _seen(bench.instruments.request_seconds) == (2, 1.0)


def test_an_answer_is_its_part_of_the_payload_even_behind_one_that_was_cancelled() -> None:
    bench = Bench()
    bench.submit(3)
    bench.loop.turn()
    bench.batcher.cancel(bench.calls[0])
    bench.workers.finish()
    assert [call.answered for call in bench.calls[1:]] == [b"1", b"2"]


def test_who_is_late_is_told_how_long_it_had() -> None:
    bench = Bench()
    call = RecordedCall(arrived=10.0, timeout=0.25)
    bench.ledger.expire(call)
    assert isinstance(call.error, DeadlineExceeded)
    assert "'m' within 0.25 seconds" in str(call.error)
