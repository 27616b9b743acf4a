"""What a proxy has under way of one model at each host, and which host is next. Pure: no clock, no socket.

A host says how many batches of the model may be under way there (`slots`) and how many workers are ready for them. What
was sent counts until it has an answer, also when the host takes slots away meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

J = TypeVar("J")

MOST_LOSSES = 2
"""How often the host of a batch may be lost before the batch itself is suspected of it."""


class Account(Generic[J]):
    """One model at one host.

    Attributes:
        slots: batches that may be under way, by the host's word; 0 while it has not opened the model.
        workers: that are ready there.
        jobs: what is under way, with its rows, in the order in which it was sent.
        aside: what is under way in the quarantine worker.
        closed: nothing more may be sent: the host drains, does not answer or does not read.
        latest: the number of the job that was sent last.
    """

    def __init__(self) -> None:
        self.slots = self.workers = self.latest = 0
        self.jobs: dict[int, tuple[J, int]] = {}
        self.aside: dict[int, J] = {}
        self.closed = False

    @property
    def free(self) -> int:
        """Batches that may be sent now."""
        return 0 if self.closed else max(0, self.slots - len(self.jobs))

    @property
    def ahead(self) -> int:
        """Rows in front of the next batch; 0 if a worker is idle, as far as can be told from what is under way."""
        if len(self.jobs) < max(1, min(self.workers, (self.slots + 1) // 2)):
            return 0
        return next(iter(self.jobs.values()))[1]

    def begin(self, number: int, job: J, rows: int) -> None:
        """A job is sent; numbers grow."""
        self.jobs[number] = job, rows
        self.latest = number

    def job(self, number: int) -> J | None:
        """What is under way by this number; None: it has ended."""
        found = self.jobs.get(number)
        return self.aside.get(number) if found is None else found[0]

    def end(self, number: int) -> None:
        """Something has ended."""
        self.jobs.pop(number, None)
        self.aside.pop(number, None)

    def under_way(self) -> list[tuple[int, J]]:
        """Everything, with its number."""
        return [(number, job) for number, (job, _) in self.jobs.items()] + list(self.aside.items())


def next_of(accounts: Iterable[Account[J]]) -> Account[J] | None:
    """Where the next batch goes: to an idle worker if there is one, to the host with the most free slots, to the one
    that has waited longest for a batch; so one that is new gets the next."""
    best: Account[J] | None = None
    for each in accounts:
        if each.free and (best is None or _worth(each) > _worth(best)):
            best = each
    return best


def _worth(account: Account[J]) -> tuple[bool, int, int]:
    return account.ahead == 0, account.free, -account.latest


def blames_job(losses: int, *, pure: bool, aside: bool) -> bool:
    """Whether a batch whose host was lost is to be treated as the suspect.

    A connection that breaks, or a machine that dies, says nothing of what ran there: an input kills a worker, and of
    that the host tells. So the batch goes back to the queue. But what is not pure may have run, and must not run again;
    what was in quarantine is suspected already; and what has lost hosts before may be the reason.

    Args:
        losses: how often a host was lost with this batch, this time included.
        pure: whether it may run again.
        aside: whether it was in quarantine.
    """
    return aside or not pure or losses > MOST_LOSSES
