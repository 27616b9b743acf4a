"""Whether a call may come in: not while the model takes none, not what can wait while memory is short, and not where
there is no room, unless somebody who holds more than his share makes room. Who may not is told so at once.
"""

from __future__ import annotations

from collections.abc import Callable

from shoal.core.call import INTERACTIVE, Call
from shoal.core.clock import Clock
from shoal.core.errors import Overloaded, ShoalError
from shoal.core.pressure import Stage
from shoal.serving.batching.ledger import Ledger
from shoal.serving.batching.waiting.admission import Admission
from shoal.serving.batching.waiting.queue import CallQueue
from shoal.serving.batching.workers import Workers

SHORT_RETRY, LONG_RETRY = 1.0, 5.0
"""Seconds after which those come again who are shed for want of memory: the others, and those that can wait."""

Refusal = Callable[[], ShoalError]


class Entrance:
    """See the module.

    Args:
        queue: where calls wait.
        admission: how many may.
        workers: who take them from there.
        ledger: where those get their outcome who may not come in.
        clock: monotonic seconds.

    Attributes:
        watchful: whether anybody is refused for other reasons than room; only then is `refuses` to be asked.
    """

    def __init__(self, queue: CallQueue, admission: Admission, workers: Workers, ledger: Ledger, clock: Clock) -> None:
        self._queue = queue
        self._admission = admission
        self._workers = workers
        self._ledger = ledger
        self._clock = clock
        self._refusal: Refusal | None = None
        self._stage = Stage.CALM
        self.watchful = False

    def close(self, refusal: Refusal | None) -> None:
        """Answer new calls with this error; None: take them again."""
        self._refusal = refusal
        self._look()

    def strain(self, stage: Stage) -> None:
        """The node's memory is as full as this."""
        self._stage = stage
        self._look()

    def _look(self) -> None:
        self.watchful = self._refusal is not None or self._stage > Stage.CALM

    def refuses(self, call: Call) -> bool:
        """Whether it was told that it may not come in."""
        if self._refusal is not None:
            self._ledger.fail(call, self._refusal())
            return True
        if self._stage > Stage.CALM and call.level > INTERACTIVE:
            error = Overloaded("the node is short of memory for what can wait", retry_after=LONG_RETRY)
            self._ledger.fail(call, error)
            return True
        return False

    def admits(self, call: Call, free: int) -> bool:
        """Whether there is room for it, or somebody has made room; otherwise it was told. `free`: of the workers."""
        queue, admission, workers = self._queue, self._admission, self._workers
        error = None
        if not free or workers.ahead:
            error = admission.late(queue, call, self._clock(), workers.turn)
        while error is None and (error := admission.full(queue, call, self._stage)) is not None:
            pushed = queue.push_out(call)
            if pushed is not None:
                self._ledger.fail(pushed, admission.overloaded(queue.rows, "others have a better right to wait"))
                error = None
        if error is not None:
            self._ledger.fail(call, error)
        return error is None

    def shed(self, bytes: int) -> None:
        """Shed what waits, from the end, until no more than so many bytes do."""
        for call in reversed(list(self._queue)):
            if self._queue.bytes <= bytes:
                break
            self._queue.release(call)
            self._ledger.fail(call, Overloaded("the node is short of memory", retry_after=SHORT_RETRY))
