"""The watch for hangs: on time, by the job's own limit, and quiet otherwise."""

from __future__ import annotations

import asyncio

import pytest

from shoal.core.clock import monotonic
from shoal.serving.pool import hanging
from shoal.serving.pool.hanging import HangWatch


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hanging, "HANG_GRACE", 0.0)


def watch(*steps: tuple[float, float | None], until: float) -> float | None:
    """Begin jobs of these limits (None: rest) at these times; when a hang was noticed, if one was."""

    async def main() -> float | None:
        loop, noticed = asyncio.get_running_loop(), asyncio.Event()
        start, at = monotonic(), 0.0

        def hang() -> None:
            nonlocal at
            at = monotonic() - start
            noticed.set()

        watching = HangWatch(hang, monotonic)
        for when, seconds in steps:
            loop.call_later(when, watching.rest if seconds is None else lambda limit=seconds: watching.begin(limit))
        try:
            async with asyncio.timeout(until):
                await noticed.wait()
        except TimeoutError:
            return None
        finally:
            watching.close()
        return at

    return asyncio.run(main())


def test_it_notices_one_that_has_had_its_time() -> None:
    at = watch((0.0, 0.05), until=5)
    assert at is not None
    assert at >= 0.05


def test_a_shorter_limit_behind_a_longer_one_counts_from_its_own_start() -> None:
    at = watch((0.0, 30.0), (0.02, 0.05), until=5)
    assert at is not None
    assert at >= 0.07


def test_it_is_quiet_while_jobs_end_in_time() -> None:
    assert watch((0.0, 0.1), (0.05, 0.1), (0.1, 0.1), (0.15, None), until=0.4) is None
