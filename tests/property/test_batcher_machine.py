"""The batcher as a state machine: whatever happens in whatever order, each call gets one outcome, its own, and all add up.

Held after every step: the accounts are exact (accepted = answered + failed + shed + expired + cancelled + waiting), nobody
has two outcomes, nobody waits past the deadline, no answer is another's. Held at the end: nobody waits at all.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shoal.core.call import State
from shoal.core.errors import DeadlineExceeded, ModelError, Overloaded, PoisonInput, Unavailable
from shoal.core.model import Batching
from support.fake_workers import Bench

LATE = 0.020
POISON = b"poison"


class BatcherMachine(RuleBasedStateMachine):
    bench: Bench

    @initialize(
        policy=st.sampled_from(["adaptive", "fixed"]),
        size=st.sampled_from([None, 1, 4, 9]),
        queue_rows=st.sampled_from([8, 1000]),
        queue_seconds=st.sampled_from([None, 0.3]),
        slots=st.integers(1, 4),
        pure=st.booleans(),
    )
    def start(
        self, policy: str, size: int | None, queue_rows: int, queue_seconds: float | None, slots: int, pure: bool
    ) -> None:
        batching = Batching(policy=policy, max_size=size, queue_rows=queue_rows, queue_seconds=queue_seconds)  # type: ignore[arg-type]
        self.bench = Bench(batching, slots=slots, pure=pure)
        self.cancelled: set[int] = set()
        self.stopped = False

    @rule(
        count=st.integers(1, 6),
        rows=st.sampled_from([1, 1, 2, 5, 20]),
        level=st.integers(0, 4),
        timeout=st.sampled_from([0.0, 0.05, 0.5, 60.0]),
        poison=st.sampled_from([False, False, False, True]),
        tenant=st.sampled_from(["", "", "a", "b"]),
    )
    def submit(self, count: int, rows: int, level: int, timeout: float, poison: bool, tenant: str) -> None:
        body = POISON + b"%d" % rows if poison else b""
        self.bench.submit(count, rows=rows, level=level, timeout=timeout, body=body, tenant=tenant)

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.02, 0.1, 1.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.bench.loop.advance(seconds)

    @precondition(lambda self: self.bench.calls)
    @rule(data=st.data())
    def a_caller_leaves(self, data: st.DataObject) -> None:
        call = self.bench.calls[data.draw(st.integers(0, len(self.bench.calls) - 1))]
        if call.state is not State.DONE:
            self.cancelled.add(call.number)
        self.bench.batcher.cancel(call)

    @precondition(lambda self: self.bench.workers.jobs)
    @rule(seconds=st.sampled_from([0.0, 0.001, 0.05]), fail_first=st.booleans())
    def a_batch_ends(self, seconds: float, fail_first: bool) -> None:
        job = self.bench.workers.jobs[0]
        if any(bytes(call.body).startswith(POISON) for call in job.calls):
            self.bench.workers.die()
        else:
            self.bench.workers.finish(seconds, {0: ModelError("raised")} if fail_first else None)

    @precondition(lambda self: self.bench.workers.jobs)
    @rule()
    def the_worker_is_killed(self) -> None:
        self.bench.workers.die("SIGKILL", outside=True)

    @precondition(lambda self: self.bench.spare.jobs)
    @rule()
    def the_quarantine_goes_on(self) -> None:
        job = self.bench.spare.jobs[0]
        if any(bytes(call.body).startswith(POISON) for call in job.calls):
            self.bench.spare.die()
        else:
            self.bench.spare.finish()

    @rule(size=st.sampled_from([None, 1, 3, 64]), policy=st.sampled_from(["adaptive", "fixed"]))
    def the_settings_change(self, size: int | None, policy: str) -> None:
        self.bench.batcher.configure(Batching(max_size=size, policy=policy))  # type: ignore[arg-type]

    @rule()
    def the_model_goes(self) -> None:
        self.bench.batcher.refuse(lambda: Unavailable("gone"))
        self.bench.batcher.fail_all(lambda: Unavailable("gone"))
        assert all(call.state is State.DONE for call in self.bench.calls)

    @rule()
    def the_model_is_back(self) -> None:
        self.bench.batcher.refuse(None)

    @invariant()
    def nobody_has_two_outcomes_or_anothers(self) -> None:
        for call in self.bench.calls:
            assert len(call.outcomes) == (1 if call.state is State.DONE and call.number not in self.cancelled else 0)
            for outcome in call.outcomes:
                right = b"%d" % call.number
                assert outcome == right or isinstance(
                    outcome, (ModelError, Overloaded, DeadlineExceeded, Unavailable, PoisonInput)
                )

    @invariant()
    def the_accounts_are_exact(self) -> None:
        waiting = sum(call.state is not State.DONE for call in self.bench.calls)
        assert sum(self.bench.outcomes().values()) + waiting == len(self.bench.calls)
        assert self.bench.outcomes().get("cancelled", 0) == len(self.cancelled)
        assert sum(1 for _ in self.bench.batcher._outstanding()) == waiting
        queue = self.bench.batcher._queue
        assert queue.rows == sum(call.rows for call in queue)
        assert queue.bytes == sum(len(call.body) for call in queue)

    @invariant()
    def nobody_waits_past_the_deadline(self) -> None:
        now = self.bench.clock.now
        assert all(call.state is State.DONE or now <= call.deadline + LATE for call in self.bench.calls)

    @invariant()
    def only_poison_is_called_poison(self) -> None:
        for call in self.bench.calls:
            if call.outcomes and isinstance(call.outcomes[0], PoisonInput):
                assert call.poisonous

    @invariant()
    def nobody_waits_while_a_worker_is_idle(self) -> None:
        bench = self.bench
        if bench.batcher.settings.policy == "adaptive" and not bench.batcher._scheduled and not bench.workers.jobs:
            assert bench.batcher._queue.rows == 0

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.bench.loop.advance(61)
            assert all(call.state is State.DONE for call in self.bench.calls)
            self.the_accounts_are_exact()


TestBatcherMachine = BatcherMachine.TestCase
TestBatcherMachine.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
