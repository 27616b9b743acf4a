"""Whatever happens to shared workers and their models, and in whatever order: each call has exactly one outcome."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoal.core.errors import ShoalError
from shoal.serving.pool import supervisor
from shoal.serving.pool.shared import remembered
from support.shared_world import SharedWorld

STEPS = st.one_of(
    st.tuples(st.sampled_from(["submit"] * 4 + ["answer"] * 3 + ["loaded"] * 4), st.integers(0, 11)),
    st.tuples(
        st.sampled_from(["failed", "SIGSEGV", "SIGKILL", "worn", "idle", "replace", "cancel", "wait"]),
        st.integers(0, 11),
    ),
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.0)
    monkeypatch.setattr(supervisor, "READY_DELAY", 0.0)
    monkeypatch.setattr(remembered, "FIRST_BACKOFF", 0.0002)
    monkeypatch.setattr(remembered, "LAST_BACKOFF", 0.0002)


async def step(world: SharedWorld, what: str, number: int) -> None:
    members = world.members
    member = members[number % len(members)] if members else None
    match what:
        case "submit":
            world.submit(number)
        case "answer" if member is not None and member.jobs:
            member.answer()
        case "loaded" | "failed" if member is not None and member.loads:
            member.end_load(good=what == "loaded")
        case "SIGSEGV" | "SIGKILL" if member is not None:
            member.kill(what)
        case "worn" if member is not None:
            member.worn.set()
        case "idle":
            for place in world.pool.places:
                place.evict_idle(world.pool.clock(), 0.0)
        case "cancel":
            world.cancel(number)
        case "replace":
            await world.replace(number)
        case "wait":
            await asyncio.sleep(0.0003)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=60), st.integers(1, 3), st.integers(1, 4))
def test_each_call_has_exactly_one_outcome_and_the_accounts_agree(
    steps: list[tuple[str, int]], workers: int, room: int
) -> None:
    async def main() -> None:
        world = SharedWorld(6, workers=workers, max_models=room)
        await world.start()
        for what, number in steps:
            await step(world, what, number)
            await world.turn()
            world.check()
        await world.come_to_rest()
        await world.turn()
        world.check_at_rest()
        for at, call in enumerate(world.calls):
            if call.outcome.cancelled():
                continue
            outcome = call.outcome.result()  # set twice would have raised
            assert isinstance(outcome, ShoalError) or outcome == b"%d" % at
        await world.stop()

    asyncio.run(main())


def test_without_failures_nobody_gets_an_error() -> None:
    async def main() -> None:
        world = SharedWorld(6, workers=2, max_models=2)
        await world.start()
        for turn in range(30):
            for number in range(6):
                world.submit(number)
            await world.turn()
            if turn % 7 == 3:
                world.members[0].kill("SIGKILL")
            if turn % 7 == 5 and world.members:
                world.members[0].worn.set()
            await world.come_to_rest()
        assert [call.outcome.result() for call in world.calls] == [b"%d" % at for at in range(len(world.calls))]
        await world.stop()

    asyncio.run(main())
