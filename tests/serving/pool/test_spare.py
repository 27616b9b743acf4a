"""The quarantine worker, with members that come up or do not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from shoal.core.errors import NotReady
from shoal.core.model import ModelSpec
from shoal.serving.pool import spare
from shoal.serving.pool.jobs import Job, Loss
from shoal.serving.pool.member import Hooks, WorkerDied
from shoal.serving.pool.spare import FIRST_PAUSE, LONGEST_PAUSE, STARTS, Spare, pause_after
from shoal.serving.pool.supervisor import WorkerState
from support.calls import RecordedCall

SPEC = ModelSpec(name="m", path="/nowhere", runtime="python")


class Process:
    """One that may be given less of the processor."""

    def lower_priority(self) -> None:
        return


class FakeMember:
    """Implements what a spare needs of `Member`: `failure` is raised by `load`."""

    def __init__(self, failure: Exception | None) -> None:
        self.process = Process()
        self.state = WorkerState.STARTING
        self.jobs: list[Job] = []
        self.failure = failure
        self.finished = 0

    async def start(self, seconds: float) -> None:
        await asyncio.sleep(0)

    async def load(self, model: int, spec: ModelSpec) -> None:
        assert spec is SPEC
        if self.failure is not None:
            raise self.failure

    async def open(self) -> None:
        self.state = WorkerState.READY

    def kill(self, reason: str) -> None:
        return

    def send(self, job: Job, model: int, seconds: float) -> None:
        self.jobs.append(job)

    async def finish(self) -> None:
        self.finished += 1


class Owner:
    """Hears of lost jobs."""

    def __init__(self) -> None:
        self.losses: list[Loss] = []

    def done(self, job: Job, done: object, payload: bytes | bytearray) -> None:
        raise AssertionError("nothing answers here")

    def lost(self, job: Job, loss: Loss) -> None:
        self.losses.append(loss)


def ask(failures: list[Exception | None], *, patience: int = 1000, now: float = 0.0) -> tuple[list[FakeMember], Owner]:
    """Send a spare one job; its members fail like this, in turn. Its call is over with the start of this number, and a
    minute after it was made."""
    members: list[FakeMember] = []
    coming: Iterator[Exception | None] = iter(failures)
    owner, call = Owner(), RecordedCall(0, arrived=0.0)

    def make(hooks: Hooks) -> FakeMember:
        members.append(FakeMember(next(coming)))
        if len(members) == patience:
            call.cancel()
        return members[-1]

    async def main() -> None:
        aside = Spare(SPEC, make, lambda reason: None, clock=lambda: now)  # type: ignore[arg-type]
        aside.send(Job([call], 1, 1, owner, 0.0))
        for _ in range(20 + 4 * len(failures)):
            await asyncio.sleep(0)

    asyncio.run(main())
    return members, owner


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "FIRST_PAUSE", 0.0)


@pytest.mark.parametrize("deaths", range(3 * STARTS))
def test_one_that_dies_while_it_starts_is_started_again(deaths: int) -> None:
    members, owner = ask([WorkerDied("SIGKILL")] * deaths + [None])
    assert len(members) == deaths + 1
    assert len(members[-1].jobs) == 1
    assert owner.losses == []


@pytest.mark.parametrize("failure", [WorkerDied("SIGKILL"), NotReady("no")])
def test_what_one_that_never_came_up_held_is_given_back(failure: Exception) -> None:
    members, _ = ask([failure, None])
    assert members[0].finished == 1


def test_it_gives_up_when_nobody_waits_any_more() -> None:
    members, owner = ask([WorkerDied("SIGKILL")] * 20, patience=12)
    assert len(members) == 12
    assert [loss.suspect for loss in owner.losses] == [False]


def test_it_gives_up_when_it_is_too_late() -> None:
    members, owner = ask([WorkerDied("SIGKILL")] * 2, now=60.0)
    assert len(members) == 1
    assert [loss.suspect for loss in owner.losses] == [False]


def test_the_first_starts_follow_at_once_and_the_others_ever_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "FIRST_PAUSE", FIRST_PAUSE)
    assert [pause_after(starts) for starts in range(1, STARTS)] == [0.0] * (STARTS - 1)
    pauses = [pause_after(starts) for starts in range(STARTS, STARTS + 100)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[1], pauses[-1]) == (FIRST_PAUSE, 2 * FIRST_PAUSE, LONGEST_PAUSE)


def test_a_model_that_cannot_be_loaded_is_not_tried_again() -> None:
    members, owner = ask([NotReady("no")])
    assert len(members) == 1
    assert len(owner.losses) == 1
