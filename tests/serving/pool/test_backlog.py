"""What a worker has not answered: answers come in order and must fit; a death is blamed on the first job alone."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shoal.core.clock import monotonic
from shoal.core.ipc.messages import Done
from shoal.serving.pool.backlog import Backlog
from shoal.serving.pool.jobs import Job, Loss


class Owner:
    """Notes whose jobs were lost, and how."""

    def __init__(self) -> None:
        self.losses: list[tuple[Job, Loss]] = []

    def done(self, job: Job, done: Done, payload: bytes | bytearray) -> None:
        raise AssertionError("a backlog answers nobody")

    def lost(self, job: Job, loss: Loss) -> None:
        self.losses.append((job, loss))


def job_of(owner: Owner, count: int) -> Job:
    calls: list[Any] = [object() for _ in range(count)]
    return Job(calls, count, count, owner, 0.0)


def answer(number: int, lengths: list[int], *, statuses: int | None = None) -> Done:
    count = len(lengths)
    size = count if statuses is None else statuses
    return Done(number, bytes(size), lengths, [-1] * count, count, 1, 0.0, 0.0, 0.0, 0)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
def test_only_the_whole_answer_of_the_job_at_work_fits(sizes: list[int], data: st.DataObject) -> None:
    async def main() -> None:
        backlog = Backlog(lambda: None, monotonic)
        sent = [backlog.add(job_of(Owner(), size), 1, 60.0) for size in sizes]
        assert len({each.number for each in sent}) == len(sizes)
        for each, size in zip(sent, sizes, strict=True):
            lengths = data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
            payload = bytes(sum(lengths))
            assert backlog.fits(answer(each.number, lengths), payload)
            assert not backlog.fits(answer(each.number + 1, lengths), payload)
            assert not backlog.fits(answer(each.number, lengths), payload + b"x")
            assert not backlog.fits(answer(each.number, [*lengths, 0]), payload)
            assert not backlog.fits(answer(each.number, lengths, statuses=size + 1), payload)
            assert not backlog.fits(answer(each.number, [-1, *lengths[1:]]), bytes(max(sum(lengths[1:]) - 1, 0)))
            assert backlog.answered() is each
        assert not backlog.fits(answer(sent[-1].number, []), b"")
        backlog.close()

    asyncio.run(main())


@given(st.integers(1, 5), st.sampled_from(["SIGSEGV", "SIGKILL", "oom"]))
def test_a_death_gives_all_back_last_to_first_and_suspects_the_first(count: int, reason: str) -> None:
    async def main() -> None:
        owner, ended = Owner(), list[int]()
        backlog = Backlog(lambda: None, monotonic)
        jobs = [job_of(owner, 1) for _ in range(count)]
        for number, job in enumerate(jobs):
            backlog.add(job, number, 60.0)
        backlog.close()
        backlog.lose(reason, ended.append)
        assert [job for job, _ in owner.losses] == jobs[::-1]
        assert [loss.suspect for _, loss in owner.losses] == [False] * (count - 1) + [True]
        assert {loss.outside for _, loss in owner.losses} == {reason == "SIGKILL"}
        assert ended == [*range(count)][::-1]
        assert not backlog.jobs

    asyncio.run(main())
