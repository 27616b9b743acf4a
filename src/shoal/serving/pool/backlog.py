"""What was sent to a worker and has no answer yet, in the order in which it was sent, which is that of the answers.

The first job is the one at work: it is watched, and when the worker dies it is the suspect.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from shoal.core.clock import Clock
from shoal.core.ipc import messages
from shoal.serving.pool.hanging import HangWatch
from shoal.serving.pool.jobs import Job, Loss

OUTSIDE = frozenset({"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"})
"""Signals that a model's code does not get by itself."""


class Sent(NamedTuple):
    """A job that has no answer yet: its number, its model's, and how long it may run."""

    number: int
    job: Job
    model: int
    seconds: float


class Backlog:
    """See the module.

    Args:
        on_hang: called when the job at work takes longer than it may.
        clock: monotonic seconds.

    Attributes:
        jobs: the one at work first.
    """

    def __init__(self, on_hang: Callable[[], None], clock: Clock) -> None:
        self.jobs: deque[Sent] = deque()
        self._numbers = 0
        self._watch = HangWatch(on_hang, clock)

    def add(self, job: Job, model: int, seconds: float) -> Sent:
        """A job that is sent now."""
        self._numbers += 1
        sent = Sent(self._numbers, job, model, seconds)
        if not self.jobs:
            self._watch.begin(seconds)
        self.jobs.append(sent)
        return sent

    def fits(self, done: messages.Done, payload: bytes | bytearray) -> bool:
        """Whether this can be the answer of the job at work."""
        if not self.jobs or self.jobs[0].number != done.id:
            return False
        count = len(self.jobs[0].job.calls)
        return (
            len(done.statuses) == len(done.lengths) == len(done.json_lengths) == count
            and sum(done.lengths) == len(payload)
            and min(done.lengths) >= 0
        )

    def answered(self) -> Sent:
        """Take out the job at work; the next one is at work from now on."""
        sent = self.jobs.popleft()
        if self.jobs:
            self._watch.begin(self.jobs[0].seconds)
        else:
            self._watch.rest()
        return sent

    def close(self) -> None:
        """Watch no more; nothing is at work."""
        self._watch.close()

    def lose(self, reason: str, on_job_end: Callable[[int], None]) -> None:
        """Last to first, as each innocent one goes to the front of the queue; the first is the suspect.

        Args:
            reason: label of the worker's end.
            on_job_end: told the number of each job's model, just before the job's owner is.
        """
        while self.jobs:
            sent = self.jobs.pop()
            on_job_end(sent.model)
            job = sent.job
            job.owner.lost(job, Loss(reason, suspect=not self.jobs, outside=reason in OUTSIDE))
