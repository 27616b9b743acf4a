"""The prediction cache as a state machine: whatever happens in whatever order, each caller gets one outcome, its own.

Held after every step: nobody has two outcomes or another's id, nobody waits past the deadline, no answer is older than
its time, nobody waits for a call that the model does not have. Held at the end: nobody waits, nothing is left.
"""

from __future__ import annotations

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shoal.core.call import State
from shoal.core.errors import DeadlineExceeded, ModelError, Overloaded
from support.asked import AskedCall, ask
from support.cached import CacheBench

LATE = 0.020
SECONDS = 3.0


class CacheMachine(RuleBasedStateMachine):
    bench: CacheBench

    @initialize(bytes=st.sampled_from([0, 800, 1500, 100_000]))
    def start(self, bytes: int) -> None:
        self.bench = CacheBench(seconds=SECONDS, bytes=bytes)
        self.gone: set[AskedCall] = set()
        self.asked: dict[AskedCall, tuple[int, str | None]] = {}
        self.made: list[tuple[int, int, float]] = []

    @rule(
        data=st.integers(1, 4),
        named=st.booleans(),
        timeout=st.sampled_from([0.0, 0.05, 0.5, 60.0]),
        level=st.sampled_from([1, 1, 0, 3]),
    )
    def submit(self, data: int, named: bool, timeout: float, level: int) -> None:
        id = f"caller-{len(self.asked)}" if named else None
        call = self.bench.submit(ask(data, id=id), timeout=timeout, level=level)
        self.asked[call] = data, id
        if call.outcomes and isinstance(call.outcomes[0], tuple):
            number = json.loads(call.outcomes[0][0])["outputs"][1]
            now = self.bench.clock.now
            assert any(each[:2] == (data, number) and now - each[2] < SECONDS for each in self.made)

    @rule(seconds=st.sampled_from([0.0, 0.03, 0.4, 4.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.bench.loop.advance(seconds)
        self.bench.model.expire(self.bench.clock.now)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def a_caller_leaves(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.bench.calls))
        if call.state is not State.DONE:
            self.gone.add(call)
        self.bench.cache.cancel(call)

    @precondition(lambda self: self.bench.model.calls)
    @rule(data=st.data())
    def the_model_answers(self, data: st.DataObject) -> None:
        call = self.bench.model.finish(data.draw(st.integers(0, len(self.bench.model.calls) - 1)))
        content = json.loads(bytes(call.body))["inputs"][0]["data"][0]
        self.made.append((content, len(self.bench.model.seen), self.bench.clock.now))

    @precondition(lambda self: self.bench.model.calls)
    @rule(data=st.data())
    def the_model_fails(self, data: st.DataObject) -> None:
        self.bench.model.fail(data.draw(st.integers(0, len(self.bench.model.calls) - 1)))

    @rule(refuses=st.booleans())
    def the_model_refuses(self, refuses: bool) -> None:
        self.bench.model.refusal = Overloaded("full") if refuses else None

    @invariant()
    def everybody_has_one_outcome_and_its_own(self) -> None:
        for call, (data, id) in self.asked.items() if hasattr(self, "asked") else ():
            assert len(call.outcomes) == (1 if call.state is State.DONE and call not in self.gone else 0)
            for outcome in call.outcomes:
                if isinstance(outcome, tuple):
                    answer = json.loads(outcome[0])
                    assert answer.get("id") == id
                    assert answer["outputs"][0][0]["data"] == [data]
                else:
                    assert isinstance(outcome, (ModelError, Overloaded, DeadlineExceeded))

    @invariant()
    def nobody_waits_past_the_deadline(self) -> None:
        now = self.bench.clock.now if hasattr(self, "bench") else 0.0
        for call in self.asked if hasattr(self, "asked") else ():
            assert call.state is State.DONE or now <= call.deadline + LATE or call in self.bench.model.calls

    @invariant()
    def who_waits_is_with_the_model_or_at_a_flight_that_is(self) -> None:
        if not hasattr(self, "bench"):
            return
        cache = self.bench.cache
        waiting = {call for call in self.asked if call.state is not State.DONE}
        direct = {call for call in self.bench.model.calls if isinstance(call, AskedCall)}
        assert waiting == cache._waiting.keys() | direct
        assert all(flight in self.bench.model.calls for flight in cache._waiting.values())
        assert set(cache._flights.values()) == set(cache._waiting.values())
        assert cache._waiting_bytes == sum(len(call.body) for call in cache._waiting)

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.bench.loop.advance(61)
            self.bench.model.expire(self.bench.clock.now)
            assert all(call.state is State.DONE for call in self.asked)
            assert not self.bench.cache._waiting
            assert not self.bench.cache._flights
            self.bench.cache.close()
            assert self.bench.share.bytes == 0


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
