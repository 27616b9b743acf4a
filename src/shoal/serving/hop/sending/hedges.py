"""Calls that take long are sent to a second proxy as well, where their model asks for that; see `policy.hedging`.

There is no timer per call: one look over those that are in flight, at most a hundred times a second, finds those that
have taken long.
"""

from __future__ import annotations

from collections.abc import Callable

from shoal.core.clock import Clock
from shoal.serving.batching.deadlines import DeadlineWatch
from shoal.serving.batching.workers import Loop
from shoal.serving.hop.instruments import HopInstruments
from shoal.serving.hop.link import Link
from shoal.serving.hop.messages import HEDGE
from shoal.serving.hop.policy import hedging
from shoal.serving.hop.proxies import Proxies
from shoal.serving.hop.sending.dispatch import Pending, RemoteDispatch
from shoal.serving.hop.sending.sender import Sender
from shoal.serving.peering.pulse import Standing


class Hedges:
    """See the module.

    Args:
        proxies: where there may be another one.
        sender: sends.
        take: begins a hedge, if there is room in the budget just now.
        clock, loop: for the look.
        instruments: count.
    """

    def __init__(
        self,
        proxies: Proxies,
        sender: Sender,
        *,
        take: Callable[[], bool],
        clock: Clock,
        loop: Loop,
        instruments: HopInstruments,
    ) -> None:
        self._proxies = proxies
        self._sender = sender
        self._take = take
        self._clock = clock
        self._instruments = instruments
        self._line: hedging.Line[Pending] = hedging.Line()
        self._watch = DeadlineWatch(clock, loop)

    def watch(self, pending: Pending) -> None:
        """A new call, of a model that asks for hedging."""
        pending.watched = pending.target.hedge_seconds
        due = self._line.add(pending, pending.watched, self._clock())
        if due < self._watch.next:
            self._watch.look_at(due, self._look)

    def forget(self, pending: Pending) -> None:
        """It has its outcome."""
        self._line.discard(pending, pending.watched)
        pending.watched = 0.0

    def refused(self, target: RemoteDispatch) -> None:
        """The second proxy does not have the model, or cannot run it just now."""
        target.unhedged_until = self._clock() + hedging.PAUSE_SECONDS

    def close(self) -> None:
        """Look no more."""
        self._watch.close()

    def _look(self, now: float) -> float:
        for pending in self._line.due(now):
            pending.watched = 0.0
            self._hedge(pending, now)
        return self._line.next

    def _hedge(self, pending: Pending, now: float) -> None:
        """Send a call to another proxy as well, if that can help."""
        target = pending.target
        left = pending.call.deadline - now
        if pending.link is None or not hedging.may_hedge(pure=target.pure, sent=pending.sent, seconds_left=left):
            return
        link = self._other(pending)
        if link is None or now < target.unhedged_until or not self._take():
            return
        pending.twin = twin = Pending(pending.call, target)
        twin.twin, twin.sent = pending, pending.sent
        twin.hedge = twin.rationed = True
        self._sender.send(twin, link, HEDGE)
        pending.sent = twin.sent
        self._instruments.hedges.inc()

    def _other(self, pending: Pending) -> Link | None:
        """The best proxy but the one that has the call, if it is well."""
        ranked = self._proxies.ranked(pending.target.key)
        link = next((link for link in ranked if link is not pending.link), None)
        if link is None or not link.state.ready or link.standing is not Standing.FINE:
            return None
        return link if self._sender.obstacle(pending, link) is None else None
