"""The calls that this gateway has at its proxies. Each gets **exactly one** outcome, whatever becomes of the proxies.

    submit ──▶ link of the key's owner ──▶ answer, error
                 │ broken, refused                ▲
                 ├──▶ once more elsewhere ────────┤   (if that cannot do harm, within the deadline and the budget)
                 │      └──▶ held, until there is room in the budget, or a proxy at all
                 └─ takes long: elsewhere, too ───┘   (if its model asks for it; the first answer counts)

Nothing here creates a task, a future or a timer per call. A deadline is watched here too, because a proxy may stand
still; it is over a little later here than there, so that the proxy's own words come first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from math import inf

from shoal.core.call import Call
from shoal.core.clock import Clock
from shoal.core.errors import DeadlineExceeded, Overloaded, ShoalError, Unavailable
from shoal.serving.batching.deadlines import DeadlineWatch
from shoal.serving.batching.workers import Loop
from shoal.serving.hop.instruments import HopInstruments
from shoal.serving.hop.link import Link
from shoal.serving.hop.messages import Answer, Fail
from shoal.serving.hop.policy import hedging, retries
from shoal.serving.hop.proxies import Proxies
from shoal.serving.hop.sending.dispatch import Pending, RemoteDispatch
from shoal.serving.hop.sending.hedges import Hedges
from shoal.serving.hop.sending.held import Held
from shoal.serving.hop.sending.sender import Sender
from shoal.serving.hop.settings import HopSettings

logger = logging.getLogger(__name__)

LATER = 0.05
"""Seconds after a deadline before it is over here."""


class Calls:
    """See the module; implements `proxies.Users` and `dispatch.Takes`.

    Attributes:
        on_unknown: called with name and version when a proxy says that there is no such model.
    """

    def __init__(
        self, proxies: Proxies, *, settings: HopSettings, clock: Clock, loop: Loop, instruments: HopInstruments
    ) -> None:
        self.proxies = proxies
        self._settings = settings
        self._clock = clock
        self._instruments = instruments
        self._budget = retries.Budget()
        self._all: dict[int, Pending] = {}
        self._targets: dict[RemoteDispatch, None] = {}
        self._held = Held(settings.held_bytes)
        self._deadlines = DeadlineWatch(clock, loop)
        self._sender = Sender(frame_bytes=settings.frame_bytes, budget=self._budget, clock=clock)
        self._hedges = Hedges(
            proxies, self._sender, take=self._room_for_hedge, clock=clock, loop=loop, instruments=instruments
        )
        self._closed = False
        self.on_unknown: Callable[[str, str], None] = lambda name, version: None

    @property
    def in_flight(self) -> int:
        """Calls that have no outcome yet."""
        return len(self._all)

    def hot(self) -> Mapping[str, float]:
        """See `Users`; forgets targets that have nothing in flight."""
        idle = [target for target in self._targets if not target.rows]
        for target in idle:
            del self._targets[target]
        return {target.key: float(target.rows) for target in self._targets}

    def take(self, pending: Pending, link: Link | None) -> None:
        """A new call, to be sent to this proxy; None: there is none."""
        call = pending.call
        self._all[id(call)] = pending
        target = pending.target
        if not target.rows:
            self._targets[target] = None
        target.rows += call.rows
        if call.deadline + LATER < self._deadlines.next:
            self._deadlines.look_at(call.deadline + LATER, self._sweep)
        if target.hedge_seconds:
            self._hedges.watch(pending)
        if link is not None and not self._closed:
            self._send(pending, link)
        else:
            self._wait_for_proxy(pending)

    def cancel(self, call: Call) -> None:
        """The caller has gone."""
        pending = self._all.get(id(call))
        call.cancel()
        if pending is not None:
            self._sender.recall(pending)
            self._release(pending)

    def answered(self, link: Link, answer: Answer, body: bytes | bytearray) -> None:
        """See `Users`."""
        pending = link.pending.get(answer.id)
        if pending is None:
            return
        if pending.hedge:
            self._instruments.hedges_won.inc()
        self._release(pending)
        if link.failing:
            self.proxies.fine(link)
        try:
            pending.call.answer(body if type(body) is bytes else bytes(body), answer.json_length)
        except Exception:
            logger.exception("an answer could not be delivered", extra={"model": pending.target.name})

    def failed(self, link: Link, fail: Fail) -> None:
        """See `Users`."""
        pending = link.pending.get(fail.id)
        if pending is None:
            return
        error = fail.error.to_error()
        if pending.hedge and not fail.executed:
            self._hedges.refused(pending.target)
        elif error.code == "not_found":
            self.on_unknown(pending.target.name, pending.target.version)
        if pending.twin is not None and not hedging.ends(error):
            self._leave_to(pending.twin, pending, error, executed=fail.executed)
        elif error.code in retries.ELSEWHERE and self._may_retry(pending, executed=fail.executed):
            self._again(pending, error, refused_by=link)
        else:
            self._finish(pending, hedging.outcome(pending.error, error) if pending.hedge else error)

    def broken(self, link: Link) -> None:
        """See `Users`."""
        for pending in list(link.pending.values()):
            error = Unavailable(f"the connection to the proxy {link.name} broke", retry_after=1.0)
            if pending.over:
                continue
            if pending.twin is not None:
                self._leave_to(pending.twin, pending, error, executed=True)
            elif self._may_retry(pending, executed=True):
                self._again(pending, error)
            else:
                said = f"the connection to the proxy {link.name} broke, and the model may have run"
                self._unserved(pending, Unavailable(said, retry_after=1.0))

    def changed(self) -> None:
        """See `Users`: another proxy may be there for what is held."""
        self._pump()

    def close(self) -> None:
        """Answer all that is left with an error, and take nothing more."""
        self._closed = True
        self._deadlines.close()
        self._hedges.close()
        for pending in list(self._all.values()):
            self._unserved(pending, Unavailable("the gateway has stopped"))

    def _may_retry(self, pending: Pending, *, executed: bool) -> bool:
        return not self._closed and retries.may_retry(
            executed=executed,
            pure=pending.target.pure,
            retried=pending.sent > 1,
            seconds_left=pending.call.deadline - self._clock(),
        )

    def _send(self, pending: Pending, link: Link) -> None:
        obstacle = self._sender.send(pending, link, int(pending.rationed))
        if obstacle is not None:
            self._unserved(pending, obstacle)

    def _again(self, pending: Pending, error: ShoalError, refused_by: Link | None = None) -> None:
        """Take a call from the proxy that failed it, and send it elsewhere as soon as it may be."""
        pending.failed, pending.error = pending.link, error
        self._sender.leave(pending)
        if refused_by is not None:
            pending.boot = refused_by.boot
            if not refused_by.state.draining and self._other(pending) is None:
                self._finish(pending, error)
                return
        self._instruments.retries.labels("broken" if refused_by is None else "refused").inc()
        if self._held or not self._retry(pending):
            self._instruments.held.inc()
            self._hold(pending)

    def _retry(self, pending: Pending) -> bool:
        """Send a held call, if there is a proxy and room in the budget."""
        link = self._other(pending)
        if link is None:
            return False
        if pending.failed is not None:
            if not self._budget.take(len(self._all)):
                return False
            pending.rationed = True
        self._send(pending, link)
        return True

    def _other(self, pending: Pending) -> Link | None:
        """The best proxy but the one that failed; that one too if it may do better now."""
        ranked = self.proxies.ranked(pending.target.key)
        for link in ranked:
            if link is not pending.failed:
                return link
        return ranked[0] if ranked and ranked[0].boot != pending.boot else None

    def _leave_to(self, other: Pending, pending: Pending, error: ShoalError, *, executed: bool) -> None:
        """One of two proxies has failed a call that the other one may still answer."""
        pending.over, pending.twin, other.twin = True, None, None
        self._all[id(other.call)] = other
        if other.hedge:
            other.error = error
        if not executed:
            other.sent -= 1
        self._sender.leave(pending)
        self._pump()

    def _room_for_hedge(self) -> bool:
        """Begin a hedge, if no retry waits and the budget has room."""
        return not self._held and self._budget.take(len(self._all))

    def _wait_for_proxy(self, pending: Pending) -> None:
        """Hold a call until there is a proxy, unless there has been none for too long."""
        if self._closed or not self.proxies.patience():
            self._unserved(pending, Unavailable("no proxy can be reached", retry_after=1.0))
        else:
            self._hold(pending)

    def _hold(self, pending: Pending) -> None:
        pending.until = self._clock() + self._settings.patience_seconds
        if not self._held.add(pending):
            self._unserved(pending, Overloaded("too many requests wait for a proxy", retry_after=1.0))
        elif pending.until < self._deadlines.next:
            self._deadlines.look_at(pending.until, self._sweep)

    def _pump(self) -> None:
        """Send what is held, in order, as far as it can be."""
        if self._held and self.proxies.usable:
            self._held.pump(self._room, self._retry)

    def _room(self) -> bool:
        return self._budget.under_way < self._budget.most(len(self._all))

    def _release(self, pending: Pending) -> None:
        """It is about to have its outcome; another proxy that has it too is told so."""
        pending.over = True
        self._all.pop(id(pending.call), None)
        pending.target.rows -= pending.call.rows
        self._sender.leave(pending)
        if (twin := pending.twin) is not None:
            twin.over, twin.twin, pending.twin = True, None, None
            self._sender.recall(twin)
        if pending.watched:
            self._hedges.forget(pending)
        if self._held:
            self._pump()

    def _finish(self, pending: Pending, error: ShoalError) -> None:
        self._release(pending)
        try:
            pending.call.fail(error)
        except Exception:
            logger.exception("an error could not be delivered", extra={"model": pending.target.name})

    def _unserved(self, pending: Pending, error: ShoalError) -> None:
        """An error of our own; for what has its outcome already, nothing: the end of one may be that of others."""
        if pending.over:
            return
        self._instruments.unserved.labels(error.code).inc()
        self._finish(pending, error)

    def _sweep(self, now: float) -> float:
        """Tell the overdue, and those that were held for too long; when to look next."""
        for pending in [each for each in self._all.values() if each.call.deadline + LATER <= now]:
            self._sender.recall(pending)
            call = pending.call
            seconds = call.deadline - call.arrived
            said = f"no answer from model {pending.target.name!r} within {seconds:.3g} seconds"
            self._unserved(pending, DeadlineExceeded(said))
        for pending in self._held.overdue(now):
            if pending.link is None:  # one that is given up makes room, and others are sent
                self._unserved(pending, pending.error or Unavailable("no proxy can be reached", retry_after=1.0))
        self._pump()
        nearest = min((each.call.deadline for each in self._all.values()), default=inf) + LATER
        return min(nearest, self._held.next)
