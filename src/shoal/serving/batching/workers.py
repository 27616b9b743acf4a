"""What a batcher needs of those who run its batches. The pool is one; the fake of the tests is another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shoal.serving.pool.jobs import Job


class Taker(Protocol):
    """Whoever runs jobs: the quarantine worker, for one."""

    @property
    def free(self) -> int:
        """Jobs that may be sent now."""
        ...

    def send(self, job: Job) -> None:
        """Run a job; only while `free` is not 0. Its owner is told of the end, never before this returns."""


class Workers(Taker, Protocol):
    """The workers of one model version."""

    @property
    def ahead(self) -> int:
        """Rows that are running in front of the next job; 0 if a worker is idle."""
        ...


class Timer(Protocol):
    """Something that will be called, unless cancelled."""

    def cancel(self) -> None: ...


class Loop(Protocol):
    """The part of an event loop that batching needs, so that tests can turn it by hand."""

    def call_soon(self, callback: Callable[[], object], /) -> object: ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer: ...
