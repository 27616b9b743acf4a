"""Questions that a worker has yet to answer, by the model's number: at most one of a kind per model."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Asked(Generic[T]):
    """Futures by number. An answer that nobody waits for any more is not an error, one that nobody asked for is."""

    def __init__(self) -> None:
        self._open: dict[int, asyncio.Future[T]] = {}
        self._ended: BaseException | None = None

    def expect(self, number: int) -> asyncio.Future[T]:
        """What will be answered for this number."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._ended is not None:
            future.set_exception(self._ended)
        else:
            self._open[number] = future
        return future

    def answer(self, number: int, value: T) -> bool:
        """Give the answer; whether it was asked for."""
        future = self._open.pop(number, None)
        if future is not None and not future.done():
            future.set_result(value)
        return future is not None

    def fail(self, number: int, error: BaseException) -> bool:
        """Give an error instead."""
        future = self._open.pop(number, None)
        if future is not None and not future.done():
            future.set_exception(error)
        return future is not None

    def fail_all(self, error: BaseException) -> None:
        """Nothing will be answered any more."""
        self._ended = error
        for number in list(self._open):
            self.fail(number, error)
