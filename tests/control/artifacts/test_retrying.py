"""Waits grow, are bounded, and differ."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.retrying import Retry
from shoal.core.errors import NotFound, Unavailable


@given(st.integers(1, 1_000), st.floats(0, 1))
def test_waits_are_bounded_and_jittered(failed: int, chance: float) -> None:
    retry = Retry(base_seconds=0.1, most_seconds=2.0, chance=lambda: chance)
    assert min(0.1 * 2 ** min(failed - 1, 10), 2.0) / 2 <= retry.wait(failed) <= 2.0


@given(st.integers(1, 6), st.integers(0, 8))
def test_it_tries_so_often_and_no_more(attempts: int, failures: int) -> None:
    waited: list[float] = []
    calls = iter([Unavailable("away", retry_after=99.0)] * failures)

    def action() -> str:
        for error in calls:
            raise error
        return "done"

    retry = Retry(attempts=attempts, sleep=waited.append)
    if failures < attempts:
        assert retry.call(action) == "done"
    else:
        with pytest.raises(Unavailable):
            retry.call(action)
    assert len(waited) == min(failures, attempts - 1)
    assert all(seconds <= 2.0 for seconds in waited)


def test_what_will_not_pass_is_not_tried_again() -> None:
    waited: list[float] = []

    def action() -> None:
        raise NotFound("gone")

    with pytest.raises(NotFound):
        Retry(sleep=waited.append).call(action)
    assert waited == []
