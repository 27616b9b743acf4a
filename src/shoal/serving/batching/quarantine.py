"""Finds out who of a batch killed its worker, at no cost to the others.

Suspects run in a worker aside, one group at a time: first the two halves of their batch, then at once the halves of a
half that kills again, and so on. Whoever kills a worker alone is the poison: refused, and remembered; suspects of the
same content are refused with it and cost no further death. A batch of 32 with one poison costs its own worker and five
of these. All others are answered, late but in time: their deadlines go on.

The work is bounded: above `MAX_SUSPECTS` further suspects are told to come again, and nobody else is hurt.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator

from shoal.core.call import Call, State
from shoal.core.clock import Clock
from shoal.core.errors import PoisonInput, Unavailable
from shoal.core.ipc.messages import Done
from shoal.serving.batching.instruments import ModelInstruments
from shoal.serving.batching.ledger import Ledger
from shoal.serving.batching.poison import PoisonTable
from shoal.serving.batching.workers import Taker
from shoal.serving.pool.jobs import Job, Loss

logger = logging.getLogger(__name__)

MAX_SUSPECTS = 256
"""Calls in quarantine at a time."""


def _nobody(culprit: Call) -> None:
    return


def _unheard() -> None:
    return


class Group:
    """Suspects that are run together. `spared`: it has got another chance, as its worker was killed from outside."""

    __slots__ = ("calls", "spared")

    def __init__(self, calls: list[Call], *, spared: bool = False) -> None:
        self.calls = calls
        self.spared = spared


class Quarantine:
    """See the module.

    Args:
        workers: the worker aside.
        ledger: where outcomes go.
        poison: where the culprits are remembered.
        instruments: the model version's metrics.
        clock: monotonic seconds.
        on_found: told each culprit, for whoever holds others of the same content.
        on_end: called after each group's end, when its calls may have had the last outcomes there were to come.
    """

    def __init__(
        self,
        workers: Taker,
        ledger: Ledger,
        poison: PoisonTable,
        instruments: ModelInstruments,
        clock: Clock,
        on_found: Callable[[Call], None] = _nobody,
        on_end: Callable[[], None] = _unheard,
    ) -> None:
        self._workers = workers
        self._ledger = ledger
        self._poison = poison
        self._instruments = instruments
        self._clock = clock
        self._on_found = on_found
        self._on_end = on_end
        self._waiting: deque[Group] = deque()
        self._running: Group | None = None
        self._max_size = 1

    def __iter__(self) -> Iterator[Call]:
        """The calls in quarantine that have no outcome yet."""
        groups = [*self._waiting, self._running] if self._running else list(self._waiting)
        return (call for group in groups for call in group.calls if call.state is not State.DONE)

    def close(self) -> None:
        """Whoever asked to be told has nothing any more that could be alike, or come to an end."""
        self._on_found, self._on_end = _nobody, _unheard

    def admit(self, job: Job, loss: Loss) -> None:
        """Take over the calls of a batch that was being worked on when its worker died."""
        calls = [call for call in _outstanding(job.calls) if not self._is_known(call)]
        room = MAX_SUSPECTS - sum(1 for _ in self)
        for call in calls[room:]:
            self._ledger.fail(call, Unavailable("too many requests are under suspicion", retry_after=1.0))
        self._max_size = job.max_size
        if len(job.calls) == 1:
            self._count_attempt(calls[:room])
            self._waiting.append(Group(calls[:room]))
        else:
            self._halve(calls[:room])
        fields = {"why": loss.reason, "calls": len(calls)}
        logger.warning("quarantine for requests of %s", self._ledger.model, extra=fields)
        self.proceed()

    def proceed(self) -> None:
        """Run the next group, if nothing runs."""
        while self._running is None and self._waiting and self._workers.free:
            group = self._waiting.popleft()
            group.calls = _outstanding(group.calls)
            if group.calls:
                self._running = group
                rows = sum(call.rows for call in group.calls)
                self._workers.send(Job(group.calls, rows, self._max_size, self, self._clock()))

    def done(self, job: Job, done: Done, payload: bytes | bytearray) -> None:
        """These are innocent."""
        self._running = None
        self._ledger.deliver(job, done, payload, self._clock())
        self.proceed()
        self._on_end()

    def lost(self, job: Job, loss: Loss) -> None:
        """One of these is to blame, unless there was no worker at all."""
        group, self._running = self._running, None
        calls = _outstanding(job.calls)
        if not loss.suspect:
            self._give_up(calls)
        elif len(job.calls) > 1:
            self._halve(calls)
        elif calls and loss.outside and group is not None and not group.spared:
            self._waiting.append(Group(calls, spared=True))
        elif calls:
            self._convict(calls[0], loss)
        self.proceed()
        self._on_end()

    def _halve(self, calls: list[Call]) -> None:
        self._count_attempt(calls)
        middle = (len(calls) + 1) // 2
        self._waiting.extendleft((Group(calls[middle:]), Group(calls[:middle])))

    def _count_attempt(self, calls: list[Call]) -> None:
        self._instruments.retries.value += len(calls)
        for call in calls:
            call.attempts += 1

    def _convict(self, call: Call, loss: Loss) -> None:
        self._poison.remember(call, self._clock())
        self._instruments.poison_found.value += 1
        logger.error("an input of %s ends its worker: %s", self._ledger.model, loss.reason)
        hint = "the same input is refused for some minutes; see the worker's log for what it does"
        self._ledger.fail(call, PoisonInput(f"this input has ended its worker ({loss.reason})", hint=hint))
        for alike in self._poison.alike(call, self):
            self.refuse(alike)
        self._on_found(call)

    def _is_known(self, call: Call) -> bool:
        """Whether the call has the content of an earlier culprit; it is refused then."""
        if not self._poison.until or not self._poison.refuses(call, self._clock()):
            return False
        self.refuse(call)
        return True

    def refuse(self, call: Call) -> None:
        """Refuse a call of the same content as a culprit."""
        self._instruments.poison_refused.value += 1
        self._ledger.fail(
            call, PoisonInput("this input has ended a worker of late", hint="change it, or ask the operator")
        )

    def _give_up(self, calls: list[Call]) -> None:
        for call in calls:
            self._ledger.fail(call, Unavailable("no worker to try this request again", retry_after=1.0))


def _outstanding(calls: list[Call]) -> list[Call]:
    return [call for call in calls if call.state is not State.DONE]
