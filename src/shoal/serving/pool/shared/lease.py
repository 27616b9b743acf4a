"""A model's stay in one worker: from the moment it is asked for until it is let go of, or the worker is no more."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from shoal.core.call import State
from shoal.serving.pool.jobs import Job, Loss

if TYPE_CHECKING:
    from shoal.serving.pool.shared.place import Place
    from shoal.serving.pool.shared.seat import Seat


class Stay(Enum):
    """How far it has come."""

    WAITING = auto()
    """Its load is in the queue."""
    LOADING = auto()
    RESIDENT = auto()
    GONE = auto()


class Lease:
    """See the module.

    Attributes:
        seat: whose it is.
        place: where.
        number: names the model in that worker.
        key: names it in the worker's accounts, and in sentences.
        held: the job that waits for the load, or None.
    """

    __slots__ = ("held", "key", "number", "place", "seat", "stay")

    def __init__(self, seat: Seat, place: Place, number: int, key: str) -> None:
        self.seat = seat
        self.place = place
        self.number = number
        self.key = key
        self.stay = Stay.WAITING
        self.held: Job | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for the job that waits for the load; a load without one is wanted as such."""
        return self.held is None or any(call.state is not State.DONE for call in self.held.calls)

    def give_back_held(self, reason: str) -> None:
        """The job that waits goes back to where it came from: nobody has looked at it."""
        job, self.held = self.held, None
        if job is not None:
            job.owner.lost(job, Loss(reason, suspect=False))
