"""Any course of calls at three proxies that answer, fail, break and come back, with and without hedging."""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Callable, Iterator
from typing import Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shoal.core.clock import ManualClock
from shoal.core.errors import InvalidInput, NotFound, NotReady, Overloaded, ShoalError, Unavailable
from shoal.core.metrics import Counter, Metrics
from shoal.core.model import ModelSpec
from shoal.serving.hop import HopSettings
from shoal.serving.hop.instruments import HopInstruments
from shoal.serving.hop.messages import HEDGE, Answer, Cancel, Fail, State, Submit
from shoal.serving.hop.sending.calls import Calls
from shoal.serving.hop.sending.dispatch import Pending, RemoteDispatch
from shoal.serving.peering.pulse import Standing
from support.calls import RecordedCall
from support.virtual_loop import VirtualLoop

ERRORS = [Overloaded("full"), NotReady("loading"), Unavailable("gone"), InvalidInput("no"), NotFound("none")]


class FakeLink:
    """A proxy that writes down what it is sent, and forgets it when it is told to or breaks."""

    def __init__(self, name: str) -> None:
        self.name = self.boot = name
        self.on_attempt: Callable[[], None] = lambda: None
        self.state = State(ready=True)
        self.standing = Standing.FINE
        self.is_open = True
        self.full = self.failing = False
        self.pending: dict[int, Pending] = {}
        self.rows = self._number = 0
        self.sent = Counter()
        self.has: dict[int, Submit] = {}
        self.submits: list[tuple[bytes, Submit]] = []

    def number(self) -> int:
        self._number += 1
        return self._number

    def send(self, message: Submit | Cancel, body: bytes = b"") -> None:
        assert self.is_open
        if isinstance(message, Submit):
            self.has[message.id] = message
            self.submits.append((body, message))
            assert message.attempt != HEDGE or (self.state.ready and not self.full)
            if message.attempt:
                self.on_attempt()
        else:
            del self.has[message.id]


class FakeProxies:
    """Always the same ranking of those that are open."""

    revision = 0

    def __init__(self) -> None:
        self.all = [FakeLink(f"proxy-{at}") for at in range(3)]

    @property
    def usable(self) -> list[FakeLink]:
        return [link for link in self.all if link.is_open]

    def ranked(self, key: str) -> list[FakeLink]:
        return self.usable

    def links(self, key: str) -> list[FakeLink]:
        return self.usable[:1]

    def patience(self) -> float:
        return 5.0

    def fine(self, link: FakeLink) -> None:
        link.failing = False


class Hedging(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.loop = VirtualLoop(self.clock)
        self.proxies = FakeProxies()
        self.instruments = HopInstruments(Metrics())
        self.calls = Calls(
            cast(Any, self.proxies),
            settings=HopSettings(),
            clock=self.clock,
            loop=self.loop,
            instruments=self.instruments,
        )
        self.targets = [self.target("often", 20.0), self.target("seldom", 300.0), self.target("never", None)]
        self.targets.append(self.target("impure", 20.0, pure=False))
        for link in self.proxies.all:
            link.on_attempt = self.attempted
        self.submitted: list[tuple[RecordedCall, RemoteDispatch]] = []
        self.left: set[int] = set()
        self.refused: Counted[bytes] = Counted()

    def target(self, name: str, after: float | None, *, pure: bool = True) -> RemoteDispatch:
        target = RemoteDispatch(self.calls, name, "", pure=pure)
        target.follow(ModelSpec(name=name, path="", runtime="", pure=pure, hedge_after_ms=after))
        return target

    def attempted(self) -> None:
        """A retry or a hedge is sent."""
        assert self.calls._budget.under_way <= max(3, self.calls.in_flight // 10)

    @rule(at=st.integers(0, 3), count=st.sampled_from([1, 3, 40]), timeout=st.sampled_from([0.03, 1.0, 60.0]))
    def submit(self, at: int, count: int, timeout: float) -> None:
        target = self.targets[at]
        target._revision = -1  # who is there may have changed
        for _ in range(count):
            call = RecordedCall(len(self.submitted), arrived=self.clock(), timeout=timeout)
            self.submitted.append((call, target))
            target.submit(call)

    @rule(seconds=st.sampled_from([0.005, 0.03, 0.4, 2.0]))
    def wait(self, seconds: float) -> None:
        self.loop.advance(seconds)

    def there(self) -> Iterator[tuple[FakeLink, Submit]]:
        return ((link, submit) for link in self.proxies.usable for submit in list(link.has.values()))

    @precondition(lambda self: any(self.there()))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        link, submit = data.draw(st.sampled_from(list(self.there())))
        del link.has[submit.id]
        self.calls.answered(cast(Any, link), Answer(submit.id, -1), link.name.encode())

    @precondition(lambda self: any(self.there()))
    @rule(data=st.data(), error=st.sampled_from(ERRORS), executed=st.booleans())
    def fail(self, data: st.DataObject, error: ShoalError, executed: bool) -> None:
        link, submit = data.draw(st.sampled_from(list(self.there())))
        del link.has[submit.id]
        if not executed:
            self.refused[next(call for call, each in link.submits if each is submit)] += 1
        self.calls.failed(cast(Any, link), Fail(submit.id, error.to_record(), executed=executed))

    @rule(at=st.integers(0, 2))
    def break_link(self, at: int) -> None:
        link = self.proxies.all[at]
        if link.is_open:
            link.is_open = False
            link.has.clear()
            self.calls.broken(cast(Any, link))
            self.calls.changed()

    @rule(at=st.integers(0, 2))
    def come_back(self, at: int) -> None:
        link = self.proxies.all[at]
        if not link.is_open:
            link.is_open, link.boot = True, link.boot + "'"
            self.calls.changed()

    @rule(at=st.integers(0, 2), ready=st.booleans(), full=st.booleans())
    def change(self, at: int, ready: bool, full: bool) -> None:
        self.proxies.all[at].state = State(ready=ready)
        self.proxies.all[at].full = full

    @precondition(lambda self: self.submitted)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        call, target = data.draw(st.sampled_from(self.submitted))
        if not call.outcomes:
            self.left.add(call.number)
        target.cancel(call)

    def waiting(self) -> list[tuple[RecordedCall, RemoteDispatch]]:
        return [each for each in self.submitted if not each[0].outcomes and each[0].number not in self.left]

    @invariant()
    def each_has_one_outcome_and_is_where_it_is_said_to_be(self) -> None:
        assert all(len(call.outcomes) <= 1 for call, _ in self.submitted)
        assert self.calls.in_flight == len(self.waiting())
        for target in self.targets:
            assert target.rows == sum(call.rows for call, of in self.waiting() if of is target)
        on_links: dict[int, int] = {}
        rationed = 0
        for link in self.proxies.all:
            assert link.pending.keys() == link.has.keys(), "whoever came second was told, and nobody else"
            assert link.rows == sum(pending.call.rows for pending in link.pending.values())
            for number, pending in link.pending.items():
                assert not pending.over
                assert (pending.number, pending.link) == (number, link)
                rationed += pending.rationed
                on_links[id(pending.call)] = on_links.get(id(pending.call), 0) + 1
        assert rationed == self.calls._budget.under_way
        assert max(on_links.values(), default=0) <= 2

    @invariant()
    def only_what_asks_for_it_is_hedged_once(self) -> None:
        hedged = [each for link in self.proxies.all for each in link.submits if each[1].attempt == HEDGE]
        assert all(submit.name in ("often", "seldom") and submit.seconds > 0 for _, submit in hedged)
        assert len(hedged) == len({call for call, _ in hedged}) == self.instruments.hedges.value
        assert self.instruments.hedges_won.value <= self.instruments.hedges.value

    @invariant()
    def none_is_run_more_than_twice(self) -> None:
        sent = Counted(call for link in self.proxies.all for call, _ in link.submits)
        sent.subtract(self.refused)
        assert max(sent.values(), default=0) <= 2

    @invariant()
    def nothing_is_watched_that_has_its_outcome(self) -> None:
        watched = [pending for line in self.calls._hedges._line._lines.values() for pending in line]
        assert len(watched) == len(set(map(id, watched)))
        assert all(not pending.over and pending.target.hedge_seconds for pending in watched)

    def teardown(self) -> None:
        self.loop.advance(100.0)
        assert not self.waiting()
        assert not self.calls.in_flight
        assert self.calls._budget.under_way == 0
        assert all(not link.pending for link in self.proxies.all)
        self.calls.close()


TestHedging = Hedging.TestCase
TestHedging.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_calls_that_are_sent_while_others_are_given_up_are_not_given_up_unseen() -> None:
    """All were held for equally long; the first that is given up makes room for the next ones."""
    state = Hedging()
    for at in (0, 2):
        state.break_link(at=at)
    state.submit(at=0, count=40, timeout=60.0)
    state.break_link(at=1)
    state.wait(seconds=4.5)
    state.come_back(at=0)
    state.submit(at=0, count=40, timeout=1.0)
    state.wait(seconds=0.6)
    state.each_has_one_outcome_and_is_where_it_is_said_to_be()
    state.teardown()


def test_calls_that_find_no_room_while_others_are_overdue_are_given_up_once() -> None:
    state = Hedging()
    state.submit(at=0, count=40, timeout=0.03)
    state.break_link(at=0)
    state.change(at=1, full=True, ready=False)
    state.wait(seconds=0.4)
    state.each_has_one_outcome_and_is_where_it_is_said_to_be()
    state.teardown()
