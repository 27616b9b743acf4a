"""A model at one host, as the proxy has it, and the quarantine workers of all hosts as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from shoal.core.errors import Conflict, NotFound, ShoalError, Unavailable
from shoal.core.ipc.messages import Done
from shoal.serving.pool.jobs import Job
from shoal.serving.remote.accounts import Account
from shoal.serving.remote.link import Link
from shoal.serving.remote.messages import Run, Scale


class Seat(Account[Job]):
    """A model at one host.

    Attributes:
        link: to the host.
        opened: the host has the model.
        share: workers that it was asked for; 0: as it likes.
        failure: why the host has no worker for it, or "".
        refusal: why the host does not run it; None: it does, or has not said yet.
        again: when it is asked again.
    """

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link
        self.closed = not link.usable
        self.opened = False
        self.share = 0
        self.failure = ""
        self.refusal: ShoalError | None = None
        self.again = 0.0

    @property
    def hopeful(self) -> bool:
        """Whether the host runs the model, or sees to it that workers are there again."""
        return self.opened and not self.closed and not self.failure

    @property
    def settled(self) -> bool:
        """Whether the host has said what becomes of the model there."""
        return bool(self.workers) or self.refusal is not None or self.closed

    def send(self, number: int, model: int, job: Job, now: float, *, aside: bool) -> None:
        """Send a job.

        Args:
            number: of the job.
            model: the number by which it is open there.
            job: see there.
            now: monotonic seconds.
            aside: it goes to the quarantine worker.
        """
        bodies = [call.body for call in job.calls]
        lengths = [len(body) for body in bodies]
        run = Run(
            number,
            model,
            job.rows,
            job.max_size,
            aside,
            bytes([call.format for call in job.calls]),
            lengths,
            [call.json_length for call in job.calls],
            [call.deadline - now for call in job.calls],
        )
        if aside:
            self.aside[number] = job
        else:
            self.begin(number, job, job.rows)
        self.link.run_batch(run, [body for body in bodies if body], sum(lengths))

    def scale(self, model: int, workers: int) -> None:
        """Have so many workers there, if that is new."""
        if self.share != workers:
            self.share = workers
            self.link.send(Scale(model, workers))


class Seated(Protocol):
    """Who has seats."""

    @property
    def seats(self) -> Iterable[Seat]: ...

    def send_aside(self, seat: Seat, job: Job) -> None: ...


class Aside:
    """The quarantine workers of all hosts as one, that takes one job at a time; a `batching.workers.Taker`."""

    def __init__(self, workers: Seated) -> None:
        self._workers = workers

    @property
    def free(self) -> int:
        """1 if it can be given a job, else 0."""
        return 0 if any(each.aside for each in self._workers.seats) or self._best() is None else 1

    def send(self, job: Job) -> None:
        """Run the job, alone. It must be free."""
        seat = self._best()
        assert seat is not None
        self._workers.send_aside(seat, job)

    def _best(self) -> Seat | None:
        open_seats = [each for each in self._workers.seats if not each.closed and each.opened]
        return min(open_seats, key=lambda each: len(each.jobs), default=None)


def may_pass(error: ShoalError) -> bool:
    """Whether a refusal may be over any moment: the host has not the files of the proxy yet, or control is away."""
    return isinstance(error, NotFound | Conflict) or error.code == Unavailable.code


def fits(done: Done, calls: int, size: int) -> bool:
    columns: Sequence[Sequence[int]] = (done.statuses, done.lengths, done.json_lengths)
    return all(len(each) == calls for each in columns) and sum(done.lengths) == size and min(done.lengths) >= 0
