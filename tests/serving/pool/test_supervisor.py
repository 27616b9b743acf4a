from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.serving.pool.supervisor import (
    CRASH_LOOP,
    LAST_DELAY,
    NEXT,
    READY_DELAY,
    Supervisor,
    WorkerState,
    may_follow,
)


@given(st.floats(0, 0.999))
def test_deaths_while_loading_back_off_to_a_bound_and_are_called_a_crash_loop(jitter: float) -> None:
    supervisor = Supervisor(lambda: jitter)
    delays = []
    for death in range(1, 40):
        delays.append(supervisor.died(0.0))
        assert supervisor.failed == (death >= CRASH_LOOP)
    assert delays == sorted(delays)
    assert 0.1 < delays[0] <= 0.25
    assert LAST_DELAY / 2 <= delays[-1] <= LAST_DELAY


@given(st.lists(st.floats(0, 20), max_size=100), st.floats(0, 0.999))
def test_a_worker_that_was_ready_is_always_back_soon(lives: list[float], jitter: float) -> None:
    supervisor, now = Supervisor(lambda: jitter), 0.0
    for seconds in lives:
        supervisor.ready(now)
        now += seconds
        assert supervisor.died(now) <= READY_DELAY
        assert not supervisor.failed


def test_a_calm_time_makes_earlier_deaths_forgotten() -> None:
    supervisor, now = Supervisor(lambda: 0.999), 0.0
    for _ in range(10):
        supervisor.ready(now)
        slow = supervisor.died(now)
    supervisor.ready(now)
    assert supervisor.died(now + 60) < slow / 10


def test_success_ends_a_crash_loop() -> None:
    supervisor = Supervisor(lambda: 0.5)
    for _ in range(CRASH_LOOP):
        supervisor.died(0.0)
    supervisor.ready(1.0)
    assert not supervisor.failed


def test_every_state_leads_to_death_and_back() -> None:
    assert set(NEXT) == set(WorkerState)
    assert not may_follow(WorkerState.DEAD, WorkerState.READY)
    assert may_follow(WorkerState.READY, WorkerState.DEAD)
