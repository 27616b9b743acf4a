"""Holds the calls of a model that is not in memory, and asks for it to be brought there.

Each call keeps its deadline and its place; what is held is bounded. When the model is ready they go to its runner in
the order in which they came; if it cannot be, each is told why. A call whose time will be over before a model can be
there that has been loaded before is told at once. A call has exactly one outcome here as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from shoal.core.call import Call, Dispatch
from shoal.core.clock import Clock
from shoal.core.errors import DeadlineExceeded, Overloaded, ShoalError
from shoal.serving.batching.deadlines import DeadlineWatch
from shoal.serving.batching.workers import Loop

MOST_CALLS = 10_000
MOST_BYTES = 64 * 1024 * 1024


class Waiting:
    """See the module; implements `core.call.Dispatch`.

    Args:
        name: the model's, for messages.
        wake: called with each call that comes to wait; may answer it at once by calling `fail`.
        clock: monotonic seconds.
        loop: for the one timer.
        count: told the error code of each call that is answered here.
        due: tells when the model may be there at the earliest, as far as that is known (monotonic seconds).
    """

    __slots__ = ("_bytes", "_calls", "_clock", "_count", "_due", "_name", "_next", "_wake", "_watch")

    def __init__(
        self,
        name: str,
        wake: Callable[[], None],
        *,
        clock: Clock,
        loop: Loop,
        count: Callable[[str], None],
        due: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._name = name
        self._wake = wake
        self._clock = clock
        self._count = count
        self._due = due
        self._calls: dict[int, Call] = {}
        self._bytes = 0
        self._watch = DeadlineWatch(clock, loop)
        self._next: Dispatch | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def submit(self, call: Call) -> None:
        """Hold the call; see `core.call.Dispatch`."""
        if self._next is not None:  # somebody has kept this dispatch for a moment longer
            self._next.submit(call)
            return
        if len(self._calls) >= MOST_CALLS or self._bytes + len(call.body) > MOST_BYTES:
            error = Overloaded(f"{len(self._calls)} requests wait for model {self._name!r} to load", retry_after=1.0)
            self._fail(call, error)
            return
        if call.level > 0 and call.deadline < (due := self._due()):
            self._wake()  # it is worth having for whoever comes later
            wait = max(due - self._clock(), 0.0)
            error = Overloaded(f"model {self._name!r} takes longer to load than the request may", retry_after=wait)
            self._fail(call, error)
            return
        self._calls[id(call)] = call
        self._bytes += len(call.body)
        if call.deadline < self._watch.next:
            self._watch.look_at(call.deadline, self._sweep)
        self._wake()

    def cancel(self, call: Call) -> None:
        """The caller has gone; see `core.call.Dispatch`."""
        if self._take(call):
            if call.cancel():
                self._count("cancelled")
        elif self._next is not None:
            self._next.cancel(call)

    def release(self, dispatch: Dispatch) -> None:
        """Give all that wait, and whatever still comes, to this one."""
        self._next = dispatch
        for call in self._end():
            dispatch.submit(call)

    def fail(self, error: Callable[[], ShoalError]) -> None:
        """Answer all that wait with an error."""
        for call in self._end():
            self._fail(call, error())

    def _end(self) -> list[Call]:
        calls = list(self._calls.values())
        self._calls.clear()
        self._bytes = 0
        self._watch.close()
        self._watch.next = inf
        return calls

    def _take(self, call: Call) -> bool:
        if self._calls.pop(id(call), None) is None:
            return False
        self._bytes -= len(call.body)
        return True

    def _sweep(self, now: float) -> float:
        """Tell the overdue; when the next one will be."""
        for call in [each for each in self._calls.values() if each.deadline <= now]:
            self._take(call)
            seconds = call.deadline - call.arrived
            self._fail(
                call,
                DeadlineExceeded(
                    f"model {self._name!r} could not be loaded within the request's {seconds:.3g} seconds"
                ),
            )
        return min((call.deadline for call in self._calls.values()), default=inf)

    def _fail(self, call: Call, error: ShoalError) -> None:
        if call.fail(error):
            self._count(error.code)
