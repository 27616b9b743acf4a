"""A batcher that is drained says so with the last outcome, however that comes about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from shoal.core.errors import Unavailable
from shoal.core.model import Batching
from support.fake_workers import Bench


def quarantined(end: Callable[[Bench], None]) -> Callable[[Bench], None]:
    def finish(bench: Bench) -> None:
        bench.workers.die()
        end(bench)

    return finish


def convict(bench: Bench) -> None:
    bench.spare.die()


ENDS: dict[str, Callable[[Bench], None]] = {
    "answered": lambda bench: bench.workers.finish(),
    "cancelled": lambda bench: bench.batcher.cancel(bench.calls[0]),
    "expired": lambda bench: bench.loop.advance(61.0),
    "failed": lambda bench: bench.batcher.fail_all(lambda: Unavailable("stopped")),
    "innocent": quarantined(lambda bench: bench.spare.finish()),
    "guilty": quarantined(convict),
}


def drained(bench: Bench, end: Callable[[Bench], None]) -> None:
    """The drain ends with the last outcome, and not before."""

    async def main() -> None:
        waiting = asyncio.ensure_future(bench.batcher.drained())
        await asyncio.sleep(0)
        assert not waiting.done()
        end(bench)
        await asyncio.wait_for(waiting, 10)
        assert bench.batcher.in_flight == 0

    asyncio.run(main())


@pytest.mark.parametrize("end", ENDS.values(), ids=list(ENDS))
def test_one_that_is_under_way_ends_it(end: Callable[[Bench], None]) -> None:
    bench = Bench(slots=1)
    bench.submit()
    bench.loop.turn()
    assert bench.batcher.in_flight == 1
    drained(bench, end)


@pytest.mark.parametrize("how", ["expired", "cancelled", "failed"])
def test_one_that_waits_ends_it(how: str) -> None:
    bench = Bench(slots=0)
    bench.submit()
    drained(bench, ENDS[how])


def test_one_that_is_shed_ends_it() -> None:
    for settings, end in (
        (Batching(), lambda bench: bench.batcher.shed(0)),
        (Batching(queue_seconds=0.5), lambda bench: bench.loop.advance(1.0)),
    ):
        bench = Bench(settings, slots=0)
        bench.submit()
        drained(bench, end)


def test_one_that_must_not_run_again_ends_it() -> None:
    bench = Bench(slots=1, pure=False)
    bench.submit()
    bench.loop.turn()
    drained(bench, lambda bench: bench.workers.die())


def test_where_nothing_is_under_way_it_ends_at_once() -> None:
    asyncio.run(asyncio.wait_for(Bench().batcher.drained(), 10))
