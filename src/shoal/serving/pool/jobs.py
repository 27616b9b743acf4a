"""What the pool is given to do, and what it tells of it.

A `Job` is a batch on its way. Its owner is told exactly once how it ended: `done` (the worker answered) or `lost` (the
worker is no more). The calls inside belong to the owner; the pool reads their bodies and answers none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shoal.core.call import Call
from shoal.core.ipc.messages import Done


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a job was lost.

    Attributes:
        reason: a label for metrics and logs: ``SIGSEGV``, ``exit_1``, ``oom``, ``hang``, ``protocol``, ``not_started``.
        suspect: the job was being worked on; one that waited behind it is innocent.
        outside: nothing that the model did: somebody sent a signal.
    """

    reason: str
    suspect: bool
    outside: bool = False


class JobOwner(Protocol):
    """Who wants to know how a job ended."""

    def done(self, job: Job, done: Done, payload: bytes | bytearray) -> None:
        """The worker has answered; `payload` holds the items' answers one after the other."""

    def lost(self, job: Job, loss: Loss) -> None:
        """The worker has died, or was killed, before it answered."""


class Job:
    """A batch of calls.

    Attributes:
        calls: in the order in which they are sent.
        rows: their weight together.
        max_size: rows that the adapter may be given in one call.
        owner: who is told of the end.
        full: it took all that a batch may hold.
        sent: when it was made (monotonic seconds).
        waited: seconds that its calls have waited, together.
    """

    __slots__ = ("calls", "full", "max_size", "owner", "rows", "sent", "waited")

    def __init__(self, calls: list[Call], rows: int, max_size: int, owner: JobOwner, sent: float) -> None:
        self.calls = calls
        self.rows = rows
        self.max_size = max_size
        self.owner = owner
        self.sent = sent
        self.full = False
        self.waited = 0.0
