"""What a batcher needs of those who run its batches, and a runner of the workers of a model version.

A pool of dedicated workers is one, a seat in a shared pool is another, the fake of the tests is a third.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shoal.core.ipc.messages import Loaded
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
    """The workers of one model version. Who looks at `free` or `ahead` and sends nothing is told of room later on."""

    @property
    def ahead(self) -> int:
        """Rows that are running in front of the next job; 0 if a worker is idle."""
        ...

    @property
    def turn(self) -> float:
        """Seconds that a job has to wait for jobs of other models in the same worker; 0 for a model's own workers."""
        ...


class ModelWorkers(Workers, Protocol):
    """Workers as `ModelRunner` owns them, from start to stop.

    Attributes:
        on_room: called when `free` may have grown.
        on_change: called when `ready`, `failure` or `loaded` has changed.
        on_death: called with the reason label of each death that nobody asked for.
        loaded: what a worker has said of the model; None while no worker was asked to load it.
        failure: why the model cannot be had, or "".
    """

    on_room: Callable[[], None]
    on_change: Callable[[], None]
    on_death: Callable[[str], None]
    loaded: Loaded | None
    failure: str

    @property
    def spare(self) -> Taker:
        """The quarantine worker."""
        ...

    @property
    def ready(self) -> int:
        """Workers that take jobs; one that would load the model first is one of them."""
        ...

    async def start(self, *, all_ready: bool = False) -> Loaded | None:
        """Return when jobs can be sent; with `all_ready` only when every worker has the model, and has tried it.

        Raises:
            ShoalError: the model cannot be loaded; `stop` is still to be called.
        """
        ...

    def resize(self, workers: int) -> None:
        """Have so many workers from now on; nothing that runs is lost."""
        ...

    def processes(self) -> list[int]:
        """The process ids of workers that are its own."""
        ...

    def explain(self) -> dict[str, object]:
        """Facts for `why`: how many workers or seats, where, what they take."""
        ...

    async def drain(self) -> None:
        """Finish what was sent, then stop."""
        ...

    async def stop(self) -> None:
        """Let go of the workers now, and of whoever listens: where models come and go all the time, what has stopped is
        to be gone with the last who knows it, not when garbage is looked for, which would hold all others up."""
        ...


class Timer(Protocol):
    """Something that will be called, unless cancelled."""

    def cancel(self) -> None: ...


class Loop(Protocol):
    """The part of an event loop that batching needs, so that tests can turn it by hand."""

    def call_soon(self, callback: Callable[[], object], /) -> object: ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer: ...
