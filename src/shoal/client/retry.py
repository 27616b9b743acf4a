"""When a failed call may be tried again: pure decisions, no clock and no I/O of their own.

Three conditions must hold together:

    safe      the failure says that the model has not answered and may be asked again: the call never reached the
              server; or, for a pure call, the connection was lost before an answer, or the server shed it (503 with
              Retry-After)
    allowed   at most `Retries.attempts` more, and the wait fits into what is left of the deadline
    budgeted  retries that are under way stay within max(3, 10 % of the calls in flight), so that a server in trouble
              is not buried by those who want to help themselves
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from random import Random


class Failure(Enum):
    """What is known about a call that failed."""

    UNSENT = "unsent"
    """The server has never processed it: refused, or not sent at all. Safe for every call."""
    LOST = "lost"
    """The connection was lost after it was sent and before an answer. Safe for pure calls."""
    SHED = "shed"
    """The server answered 503 with Retry-After. Safe for pure calls."""
    FINAL = "final"
    """An answer, or a deadline: never tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How a client retries.

    Attributes:
        attempts: tries after the first; 0 turns retries off.
        base_seconds: the first back-off, before jitter; it doubles with each attempt.
        max_seconds: the longest back-off; also of a server's Retry-After, above which the call fails at once.
        budget: retries that may be under way at any time.
        ratio: the same as a share of the calls in flight; the larger of the two counts.
    """

    attempts: int = 2
    base_seconds: float = 0.05
    max_seconds: float = 2.0
    budget: int = 3
    ratio: float = 0.1

    def allows(self, failure: Failure, *, attempt: int, pure: bool) -> bool:
        """Whether attempt number `attempt` (0 is the first) that ended with `failure` may be followed by another."""
        if attempt >= self.attempts or failure is Failure.FINAL:
            return False
        return pure or failure is Failure.UNSENT

    def wait(self, attempt: int, retry_after: float | None, rng: Random) -> float | None:
        """Seconds to wait before the next attempt: full jitter, never less than the server asks for.

        Returns:
            None if the server asks for more than `max_seconds`.
        """
        if retry_after is not None and retry_after > self.max_seconds:
            return None
        ceiling = min(self.max_seconds, self.base_seconds * 2.0 ** min(attempt, 32))
        return (retry_after or 0.0) + rng.uniform(0.0, ceiling)


class RetryBudget:
    """Counts the calls in flight and the retries among them."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self.in_flight = 0
        self.retrying = 0

    @property
    def limit(self) -> int:
        """Retries that may be under way now."""
        return max(self._retries.budget, int(self._retries.ratio * self.in_flight))

    def enter(self) -> None:
        """A call begins."""
        self.in_flight += 1

    def leave(self) -> None:
        """A call has its outcome."""
        self.in_flight -= 1

    def take(self) -> bool:
        """Begin a retry if the budget has room; a retry that was taken is given back with `give_back`."""
        if self.retrying >= self.limit:
            return False
        self.retrying += 1
        return True

    def give_back(self) -> None:
        """A retry has ended."""
        self.retrying -= 1
