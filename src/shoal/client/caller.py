"""Carries an operation to its end: the deadline, safe retries within a budget, and errors in words.

One call is: attempt, decide (`retry`, pure), wait, attempt again; all within its deadline. The channel below knows one
thing only: how to get a reply for a request, or why it could not (`LinkError`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Protocol, TypeVar

from shoal.client.operations import Headers, Operation, Outgoing, Reply
from shoal.client.retry import Failure, Retries, RetryBudget
from shoal.core.clock import Clock, monotonic
from shoal.core.errors import DeadlineExceeded, ShoalError, Unavailable

T = TypeVar("T")


GRACE = 0.05
"""Seconds (or a tenth of the timeout, if that is less) that a server, which knows the deadline, has to say so itself:
its answer tells more, and costs neither side a reset stream."""


class LinkError(Exception):
    """No reply has come.

    Args:
        failure: what is known about the request.
        message: one sentence, for the user.
        hint: what to do about it.
    """

    def __init__(self, failure: Failure, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.failure = failure
        self.message = message
        self.hint = hint


class Unreachable(Unavailable):
    """No server has answered: it cannot be connected to, or the connection was lost."""


class Channel(Protocol):
    """What gets replies."""

    async def send(self, outgoing: Outgoing, headers: Headers) -> Reply:
        """Send a request and wait for its whole reply; a cancelled wait gives the request up.

        Raises:
            LinkError: no reply has come.
        """
        ...


class Caller:
    """Runs operations.

    Args:
        channel: gets replies.
        headers: of an attempt with so many seconds left.
        retries: when to try again.
        clock, sleep, rng: time and chance.
    """

    def __init__(
        self,
        channel: Channel,
        headers: Callable[[float], Headers],
        retries: Retries,
        *,
        clock: Clock = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: Random | None = None,
    ) -> None:
        self._channel = channel
        self._headers = headers
        self._retries = retries
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or Random()  # noqa: S311
        self.budget = RetryBudget(retries)

    async def call(self, operation: Operation[T], timeout: float, *, spent: float = 0.0) -> T:
        """The operation's value.

        Args:
            operation: what to do.
            timeout: seconds until the answer must be there, retries included.
            spent: seconds of it that are over.

        Raises:
            DeadlineExceeded: the time is over, here or at the server.
            Unreachable: no server answers.
            ShoalError: what the server says.
        """
        self.budget.enter()
        try:
            left = max(0.0, timeout - spent)
            async with asyncio.timeout(left + min(GRACE, 0.1 * left)):
                return await self._attempts(operation, self._clock() + left)
        except TimeoutError:
            raise DeadlineExceeded(f"no answer within {timeout:g} s", hint="raise the timeout") from None
        finally:
            self.budget.leave()

    async def _attempts(self, operation: Operation[T], deadline: float) -> T:
        attempt, retrying = 0, False
        try:
            while True:
                try:
                    return await self._attempt(operation, deadline)
                except _Failed as failed:
                    if retrying:
                        self.budget.give_back()
                        retrying = False
                    pause = self._pause(failed, attempt, operation.pure, deadline)
                    if pause is None or not self.budget.take():
                        raise failed.error from failed.__cause__
                    retrying = True
                await self._sleep(pause)
                attempt += 1
        finally:
            if retrying:
                self.budget.give_back()

    async def _attempt(self, operation: Operation[T], deadline: float) -> T:
        headers = self._headers(max(0.001, deadline - self._clock()))
        try:
            reply = await self._channel.send(operation.outgoing, headers)
        except LinkError as error:
            raise _Failed(error.failure, Unreachable(error.message, hint=error.hint)) from error
        try:
            return operation.decode(reply)
        except Unavailable as error:
            if error.retry_after is None:
                raise
            raise _Failed(Failure.SHED, error) from error

    def _pause(self, failed: _Failed, attempt: int, pure: bool, deadline: float) -> float | None:
        """Seconds to wait before trying again, or None: the call has failed."""
        if not self._retries.allows(failed.failure, attempt=attempt, pure=pure):
            return None
        pause = self._retries.wait(attempt, failed.error.retry_after, self._rng)
        return None if pause is None or self._clock() + pause >= deadline else pause


class _Failed(Exception):
    """An attempt that failed in a way that may be worth another."""

    def __init__(self, failure: Failure, error: ShoalError) -> None:
        super().__init__(error.message)
        self.failure = failure
        self.error = error
