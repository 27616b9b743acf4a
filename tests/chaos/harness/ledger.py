"""What was asked, what became of it, and what must never have: the accounts of one campaign, kept by the caller's side.

A request is entered when it is due, and has one outcome:

    ok                  an answer
    a code              an error that the server told (`core.errors`)
    lost                the connection was lost before an answer
    left                the caller left on purpose
    refused             nobody took the connection
    hang                nothing at all, long after the deadline

No I/O: who sends and who waits is `load`. Every text holds a canary of its own, so bytes that reach somebody else are seen.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

GRACE = 0.25
"""Seconds after its deadline by which a request must have its outcome."""
UNTOLD = frozenset(("lost", "left", "refused", "hang"))
"""Outcomes that the server may count differently, or not at all."""
CANARY = re.compile(r"canary-[0-9a-f]{12}")
OK = frozenset(("ok",))


def canary(number: int) -> str:
    """The canary of a request."""
    return f"canary-{number:012x}"


@dataclass(frozen=True, slots=True)
class Ask:
    """What one request asks, and what may come of it.

    Attributes:
        model: whom.
        text: the input; it holds the request's canary.
        answers: the right ones; None where any is right.
        outcomes: those that are right.
        leave_after: seconds after which the caller leaves, or None.
        version: of the model, or "".
    """

    model: str
    text: str
    answers: frozenset[str] | None = frozenset()
    outcomes: frozenset[str] = OK
    leave_after: float | None = None
    version: str = ""


@dataclass(slots=True)
class Entry:
    """One request; times in seconds of the generator's clock."""

    number: int
    ask: Ask
    due: float
    deadline: float
    ended: float = 0.0
    outcome: str = ""
    told: str = ""

    @property
    def seconds(self) -> float:
        """From when it was due to its outcome."""
        return self.ended - self.due


@dataclass(slots=True)
class Ledger:
    """See the module. Entered and ended by one thread, read by others.

    Attributes:
        first: numbers begin after it, so that those of several ledgers differ.
        lag: the most that the generator itself was late: what it says of others' lateness is no better.
        open: entries without an outcome, by number.
        faults: sentences about what must not have been.
        latencies: seconds from due to outcome, in the order of the outcomes.
        on_end: told of each entry with its outcome.
    """

    first: int = 0
    lag: float = 0.0
    open: dict[int, Entry] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    latencies: array[float] = field(default_factory=lambda: array("d"))
    entered: int = 0
    on_end: Callable[[Entry], None] = lambda entry: None

    @property
    def next(self) -> int:
        """The number of the request that is entered next."""
        return self.first + self.entered + 1

    def enter(self, ask: Ask, due: float, timeout: float) -> Entry:
        """A request is due."""
        entry = Entry(self.next, ask, due, due + timeout)
        self.entered += 1
        self.open[entry.number] = entry
        return entry

    def end(self, entry: Entry, outcome: str, told: str, now: float) -> None:
        """A request has its outcome; `told` is the answer or the error's words."""
        if entry.outcome:
            self.faults.append(f"request {entry.number} has two outcomes: {entry.outcome}, {outcome}")
            return
        entry.outcome, entry.told, entry.ended = outcome, told, now
        self.outcomes[outcome] += 1
        self.latencies.append(entry.seconds)
        del self.open[entry.number]
        self.faults.extend(self._wrong(entry))
        self.on_end(entry)

    def _wrong(self, entry: Entry) -> Iterator[str]:
        ask, what = entry.ask, f"request {entry.number} ({entry.ask.model} {entry.ask.text!r})"
        if entry.outcome not in ask.outcomes:
            yield f"{what} ended with {entry.outcome}: {entry.told}"
        if entry.outcome == "hang":
            yield f"{what} hangs"
        elif entry.ended > entry.deadline + GRACE + 2 * self.lag and entry.outcome not in ("left", "lost"):
            yield f"{what} ended {entry.ended - entry.deadline:.3f} s after its deadline: {entry.outcome}"
        if entry.outcome == "ok" and ask.answers is not None and entry.told not in ask.answers:
            yield f"{what} was answered wrongly: {entry.told!r}"
        foreign = set(CANARY.findall(entry.told)) - set(CANARY.findall(ask.text))
        if foreign:
            yield f"{what} was told of {sorted(foreign)}"
        if entry.outcome == "internal":
            yield f"{what} met a bug: {entry.told}"

    @property
    def ended(self) -> int:
        """Requests with an outcome."""
        return self.outcomes.total()

    def percentile(self, share: float, since: int = 0) -> float:
        """Seconds within which this share of the requests ended, but for the first `since`; 0.0 for none."""
        latencies = sorted(self.latencies[since:])
        return latencies[min(len(latencies) - 1, int(share * len(latencies)))] if latencies else 0.0


def strangers(text: str) -> list[str]:
    """Canaries in a text that should hold none: a log, metrics."""
    return sorted(set(CANARY.findall(text)))


def total(ledgers: Iterable[Ledger]) -> Counter[str]:
    """The outcomes of all."""
    return sum((each.outcomes for each in ledgers), Counter())
