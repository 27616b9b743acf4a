"""Puts calls on links to proxies, and takes them off again."""

from __future__ import annotations

from shoal.core.clock import Clock
from shoal.core.errors import Overloaded, ShoalError, TooLarge
from shoal.serving.hop.link import Link
from shoal.serving.hop.messages import Cancel, Submit
from shoal.serving.hop.policy.retries import Budget
from shoal.serving.hop.sending.dispatch import Pending

LONGEST = 1e8
"""Seconds: a deadline beyond them is none."""


class Sender:
    """See the module.

    Args:
        frame_bytes: of a body.
        budget: gets back what a retry or a hedge has taken of it.
        clock: monotonic seconds.
    """

    def __init__(self, *, frame_bytes: int, budget: Budget, clock: Clock) -> None:
        self._frame_bytes = frame_bytes
        self._budget = budget
        self._clock = clock

    def obstacle(self, pending: Pending, link: Link) -> ShoalError | None:
        """Why a call cannot be sent to this proxy, if so."""
        if link.full:
            said = f"the proxy {link.name} does not take requests as fast as they come"
            return Overloaded(said, retry_after=1.0)
        if len(pending.call.body) > self._frame_bytes:
            return TooLarge(f"the body is larger than the {self._frame_bytes} bytes that a proxy takes")
        return None

    def send(self, pending: Pending, link: Link, attempt: int) -> ShoalError | None:
        """Send a call, unless there is an obstacle, which is returned; `attempt` is told to the proxy."""
        call, target = pending.call, pending.target
        if link.full or len(call.body) > self._frame_bytes:
            return self.obstacle(pending, link)
        pending.link = link
        pending.sent += 1
        pending.number = number = link.number()
        link.pending[number] = pending
        link.rows += call.rows
        link.sent.value += 1
        submit = Submit(
            number,
            target.name,
            target.version,
            call.format,
            call.json_length,
            call.rows,
            call.level,
            call.tenant,
            min(call.deadline - self._clock(), LONGEST),
            attempt,
        )
        link.send(submit, call.body)
        return None

    def leave(self, pending: Pending) -> None:
        """Take a call from its proxy, which knows that already."""
        link = pending.link
        if link is not None:
            del link.pending[pending.number]
            link.rows -= pending.call.rows
            pending.link = None
        if pending.rationed:
            pending.rationed = False
            self._budget.give_back()

    def recall(self, pending: Pending) -> None:
        """Take a call from its proxy, and tell it so: nobody waits for its answer any more."""
        if pending.link is not None and pending.link.is_open:
            pending.link.send(Cancel(pending.number))
        self.leave(pending)
