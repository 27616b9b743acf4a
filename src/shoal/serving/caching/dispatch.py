"""Answers calls from the cache, and asks the model once for all who want the same at the same time.

    submit ──▶ key ──▶ kept? ── yes ──▶ call.answer (with the caller's own id)
                         │ no
                         ├─ asked for already ──▶ wait for that flight
                         └─ else ──▶ a flight to the model ──▶ keep ──▶ answer all who wait

A `Flight` is a call of our own that goes to the model without an id; callers wait at it, and each of them gets exactly
one outcome: the answer, an error, its own deadline, or nothing when it has left. A caller who leaves takes nobody
along; only when all have left is the flight called back. If a flight fails, the first who waits gets the error, and
each of the others is run on its own, once: an error may be about that one run. Only whole answers are kept, no errors.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from math import inf

from shoal.core.call import Call, Dispatch, State
from shoal.core.clock import Clock
from shoal.core.errors import DeadlineExceeded, ShoalError
from shoal.serving.batching.deadlines import DeadlineWatch
from shoal.serving.batching.workers import Loop
from shoal.serving.caching.answers import Answer, Answers, for_caller, is_whole
from shoal.serving.caching.instruments import CacheInstruments
from shoal.serving.caching.keys import Keys, Subject
from shoal.serving.caching.store import Share

logger = logging.getLogger(__name__)

MAX_WAITING = 16_384
"""Callers that may wait at flights of one service; who comes then is passed on to the model, which has bounds too."""
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Bytes of their bodies."""


class Flight(Call):
    """The one call to the model for all who ask for the same.

    Attributes:
        key: what it will be kept under.
        waiters: who waits, each with its id; the first is the one whose place the others would have to wait for.
        shared: whether there was ever more than one: only then are the deadlines ours to watch.
    """

    __slots__ = ("_owner", "key", "shared", "waiters")

    def __init__(self, owner: CachingDispatch, subject: Subject, call: Call) -> None:
        super().__init__(
            call.format,
            subject.body,
            arrived=call.arrived,
            deadline=call.deadline,
            json_length=subject.json_length,
            rows=call.rows,
            level=call.level,
            tenant=call.tenant,
        )
        self._owner = owner
        self.key = subject.key
        self.waiters: dict[Call, str | None] = {call: subject.id}
        self.shared = False

    def on_answer(self, body: bytes, json_length: int) -> None:
        self._owner.landed(self, body, json_length)

    def on_error(self, error: ShoalError) -> None:
        self._owner.failed(self, error)


class CachingDispatch:
    """See the module; implements `core.call.Dispatch`.

    Args:
        inner: where flights go.
        prefix: what an answer depends on beside the call: see `eligible.prefix_of`.
        public: whether callers of all tenants may share an answer.
        seconds: how long an answer is good.
        share: where answers are kept.
        instruments: the model version's metrics.
        clock: monotonic seconds.
        loop: the running event loop, for one timer.
        name, version: of the model.
    """

    def __init__(
        self,
        inner: Dispatch,
        *,
        prefix: bytes,
        public: bool = False,
        seconds: float,
        share: Share,
        instruments: CacheInstruments,
        clock: Clock,
        loop: Loop,
        name: str,
        version: str = "",
    ) -> None:
        self._inner = inner
        self._keys = Keys(prefix, public=public)
        self._answers = Answers(name, version)
        self._seconds = seconds
        self._share = share
        self._instruments = instruments
        self._clock = clock
        self._name = name
        self._flights: dict[bytes, Flight] = {}
        self._waiting: dict[Call, Flight] = {}
        self._waiting_bytes = 0
        self._deadlines = DeadlineWatch(clock, loop)

    def submit(self, call: Call) -> None:
        """Take the call over; see `core.call.Dispatch`."""
        subject = self._keys.of(call)
        if subject is None:
            self._pass_on(call)
            return
        answer = self._share.get(subject.key, self._clock())
        if answer is not None:
            self._instruments.hits.value += 1
            _deliver(call, answer, subject.id)
            return
        flight = self._flights.get(subject.key)
        if flight is None:
            self._start(call, subject)
        elif self._may_join(call, flight):
            self._join(call, flight, subject.id)
        else:
            self._pass_on(call)

    def cancel(self, call: Call) -> None:
        """The caller has gone; see `core.call.Dispatch`."""
        flight = self._waiting.get(call)
        if flight is None:
            self._inner.cancel(call)
            return
        call.cancel()
        self._leave(call, flight)

    def close(self) -> None:
        """The service is gone: keep nothing for it, and end the timer. Call it when no call is without its outcome."""
        self._deadlines.close()
        self._share.clear()

    def landed(self, flight: Flight, body: bytes, json_length: int) -> None:
        """The model has answered."""
        answer = self._answers.read(flight.format, body, json_length)
        whole = is_whole(flight.format, body)
        if whole:
            self._share.put(flight.key, answer, self._clock() + self._seconds)
        first = True
        for call, id in self._each_waiter(flight):
            if first or whole:
                _deliver(call, answer, id)
            else:
                self._inner.submit(call)
            first = False

    def failed(self, flight: Flight, error: ShoalError) -> None:
        """The model has not answered."""
        first = True
        for call, _ in self._each_waiter(flight):
            if first:
                _fail(call, error)
            else:
                self._inner.submit(call)
            first = False

    def _pass_on(self, call: Call) -> None:
        self._instruments.passed.value += 1
        self._inner.submit(call)

    def _start(self, call: Call, subject: Subject) -> None:
        self._instruments.misses.value += 1
        flight = Flight(self, subject, call)
        self._flights[subject.key] = flight
        self._waiting[call] = flight
        self._waiting_bytes += len(call.body)
        self._inner.submit(flight)

    def _may_join(self, call: Call, flight: Flight) -> bool:
        """Not at a flight that is less urgent, and not if too many wait already."""
        room = len(self._waiting) < MAX_WAITING and self._waiting_bytes + len(call.body) <= MAX_WAITING_BYTES
        return room and call.level >= flight.level

    def _join(self, call: Call, flight: Flight, id: str | None) -> None:
        self._instruments.joined.value += 1
        flight.waiters[call] = id
        self._waiting[call] = flight
        self._waiting_bytes += len(call.body)
        earliest = call.deadline if flight.shared else min(call.deadline, flight.deadline)
        flight.shared = True
        flight.deadline = max(flight.deadline, call.deadline)
        if earliest < self._deadlines.next:
            self._deadlines.look_at(earliest, self._sweep)

    def _leave(self, call: Call, flight: Flight) -> str | None:
        """A caller waits no more; its id. Who leaves a flight that nobody waits at any more calls it back."""
        del self._waiting[call]
        self._waiting_bytes -= len(call.body)
        id = flight.waiters.pop(call)
        if not flight.waiters and self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
            self._inner.cancel(flight)
        return id

    def _each_waiter(self, flight: Flight) -> Iterator[tuple[Call, str | None]]:
        """Those who still wait at a flight that is over, one by one: each outcome may make another one leave."""
        self._flights.pop(flight.key, None)
        while flight.waiters:
            call = next(iter(flight.waiters))
            yield call, self._leave(call, flight)

    def _sweep(self, now: float) -> float:
        """Give overdue callers their outcome; the next deadline."""
        upcoming = inf
        for call, flight in list(self._waiting.items()):
            if not flight.shared or call not in self._waiting:
                continue
            if call.deadline <= now:
                self._leave(call, flight)
                seconds = call.deadline - call.arrived
                _fail(call, DeadlineExceeded(f"no answer from model {self._name!r} within {seconds:.3g} seconds"))
            else:
                upcoming = min(upcoming, call.deadline)
        return upcoming


def _deliver(call: Call, answer: Answer, id: str | None) -> None:
    """Answer one caller; what its connection makes of it is nobody else's matter."""
    try:
        call.answer(*for_caller(answer, call.format, id))
    except Exception:
        logger.exception("an answer could not be delivered")


def _fail(call: Call, error: ShoalError) -> None:
    if call.state is State.DONE:
        return
    try:
        call.fail(error)
    except Exception:
        logger.exception("an error could not be delivered")
