"""One version that is served: a handle which the gateway may keep, whatever happens to the runner behind it.

The runner (batcher and workers of one version) is made by a factory, so that hosting knows neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from shoal.core.call import Call, Dispatch
from shoal.core.errors import NotReady
from shoal.core.ipc.messages import Loaded
from shoal.core.model import Batching, ModelSpec, ModelState
from shoal.core.types import Signature
from shoal.serving.batching.load import Load


class Runner(Protocol):
    """Batcher and workers of one model version."""

    @property
    def dispatch(self) -> Dispatch: ...

    @property
    def loaded(self) -> Loaded | None: ...

    @property
    def state(self) -> ModelState: ...

    @property
    def reason(self) -> str: ...

    async def start(self, *, all_ready: bool = False) -> None:
        """Return when the model is ready; with `all_ready`, in all its workers.

        Raises:
            ShoalError: it cannot be.
        """

    async def drain(self) -> None:
        """Finish what was accepted, then stop."""

    async def stop(self) -> None:
        """Stop now; whoever waits gets an error."""

    def configure(self, batching: Batching) -> None:
        """Collate like this from now on."""

    def resize(self, workers: int) -> None:
        """Have so many workers from now on; those that are let go finish what they have."""

    def statistics(self) -> dict[str, object]: ...

    def load(self) -> Load:
        """What it has had to do so far."""
        ...

    def explain(self) -> dict[str, object]:
        """Facts for `why`: where it runs, what it takes, where its time goes."""
        ...


MakeRunner = Callable[[ModelSpec], Runner]


class NotServed:
    """Where calls of a version go that has no runner: each is told why."""

    def __init__(self, handle: Hosted) -> None:
        self._handle = handle

    def submit(self, call: Call) -> None:
        spec = self._handle.spec
        call.fail(NotReady(f"model {spec.name!r} is not ready: {self._handle.reason}", retry_after=1.0))

    def cancel(self, call: Call) -> None:
        call.cancel()


class Hosted:
    """One version of a model; implements `core.ports.ModelHandle`."""

    __slots__ = ("_change", "dispatch", "failure", "loading", "runner", "spec")

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.dispatch: Dispatch = NotServed(self)
        self.runner: Runner | None = None
        self.failure = "it has not been loaded yet"
        self.loading = False
        self._change: asyncio.Lock | None = None

    @property
    def change(self) -> asyncio.Lock:
        """Held by whoever starts, replaces or retires the runner."""
        if self._change is None:
            self._change = asyncio.Lock()
        return self._change

    @property
    def state(self) -> ModelState:
        if self.runner is not None:
            return self.runner.state
        return ModelState.LOADING if self.loading else ModelState.UNAVAILABLE

    @property
    def reason(self) -> str:
        if self.runner is not None:
            return self.runner.reason
        return "it is loading" if self.loading else self.failure

    @property
    def signature(self) -> Signature:
        loaded = self._loaded
        return loaded.signature if loaded else Signature(self.spec.inputs, self.spec.outputs)

    @property
    def batchable(self) -> bool:
        return self._loaded is not None and self._loaded.batchable

    @property
    def batch_reason(self) -> str:
        return self._loaded.batch_reason if self._loaded and not self._loaded.batchable else ""

    @property
    def platform(self) -> str:
        return self._loaded.platform if self._loaded else self.spec.runtime

    @property
    def example(self) -> str:
        return self._loaded.example if self._loaded else ""

    @property
    def _loaded(self) -> Loaded | None:
        return self.runner.loaded if self.runner else None

    def statistics(self) -> dict[str, object]:
        base: dict[str, object] = {"name": self.spec.name, "version": self.spec.version}
        return {**base, **(self.runner.statistics() if self.runner else {})}

    def explain(self) -> dict[str, object]:
        """Facts for `why`."""
        facts: dict[str, object] = {
            "name": self.spec.name,
            "version": self.spec.version,
            "state": self.state.value,
            "reason": self.reason,
            "runtime": self.spec.runtime,
            "placement": self.spec.placement,
        }
        return {**facts, **(self.runner.explain() if self.runner else {})}

    def serve(self, spec: ModelSpec, runner: Runner) -> Runner | None:
        """Send calls to this runner from now on; the one before is returned, to be drained."""
        old, self.runner = self.runner, runner
        self.spec, self.dispatch, self.failure = spec, runner.dispatch, ""
        return old

    def retire(self, why: str) -> Runner | None:
        """Send calls nowhere from now on."""
        old, self.runner = self.runner, None
        self.dispatch, self.failure = NotServed(self), why
        return old
