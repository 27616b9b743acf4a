"""The few places where two implementations meet one user of them.

`Models` is how the gateway sees what is served; its implementations are in `shoal.serving.hosting`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from shoal.core.call import Dispatch
from shoal.core.model import ModelSpec, ModelState
from shoal.core.types import Signature


class ModelHandle(Protocol):
    """One served version of a model, as the gateway sees it. Attributes may change while it lives."""

    @property
    def spec(self) -> ModelSpec: ...

    @property
    def state(self) -> ModelState: ...

    @property
    def reason(self) -> str:
        """Why the state is what it is: empty when ready, otherwise a sentence."""
        ...

    @property
    def signature(self) -> Signature: ...

    @property
    def batchable(self) -> bool: ...

    @property
    def batch_reason(self) -> str:
        """Why its requests are kept apart; "" if they are not."""
        ...

    @property
    def platform(self) -> str:
        """V2 platform text, such as ``onnx_onnxruntime``."""
        ...

    @property
    def example(self) -> str:
        """A V2 JSON request that works, for the docs page; "" if none is known."""
        ...

    @property
    def dispatch(self) -> Dispatch:
        """Where calls go; while the model is not ready it fails them with `NotReady` and the reason."""
        ...

    def statistics(self) -> dict[str, object]:
        """The V2 statistics of this version (`inference_count`, `execution_count`, `inference_stats`, ...)."""
        ...


class Models(Protocol):
    """All models that this node serves."""

    def find(self, name: str, version: str = "") -> ModelHandle:
        """The handle of a version; without a version the one that is served by default (the highest ready number).

        Raises:
            NotFound: no such model or version.
        """
        ...

    def discoverable(self, name: str, version: str = "") -> bool:
        """Whether a model that `find` does not know may be known elsewhere, so that `discover` is worth a try."""
        ...

    async def discover(self, name: str, version: str = "") -> None:
        """Look elsewhere for a model that `find` does not know; afterwards `find` knows it.

        Raises:
            NotFound: nobody knows it.
            Unavailable: who would know does not answer.
        """
        ...

    def measured(self, name: str, version: str = "") -> bool:
        """Whether the figures of a model that `find` knows, its statistics and `explain`, are of the moment.

        Raises:
            NotFound: no such model or version.
        """
        ...

    async def measure(self, name: str, version: str = "") -> None:
        """Bring its figures up to date.

        Raises:
            NotFound: there is no such model any more.
            Unavailable: who would know does not answer.
        """
        ...

    def ready(self) -> bool:
        """Whether the node should be sent requests: nothing is loading for the first time, and something can answer."""
        ...

    def explain(self, name: str, version: str = "") -> dict[str, object]:
        """Why it is as it is: state and reason, which version and by what, where it sits and what it takes, where its
        time goes, what happened lately; the sentences under ``why`` say the same to people.

        Raises:
            NotFound: no such model or version.
        """
        ...

    def versions(self, name: str) -> Sequence[ModelHandle]:
        """All versions of a model, oldest first; empty if there is no such model."""
        ...

    def all(self) -> Sequence[ModelHandle]:
        """Every version of every model, known or loaded, ordered by name and version."""
        ...

    def some(self, limit: int) -> Iterable[str]:
        """Names of at most so many models, in no order: what it costs does not grow with how many there are."""
        ...

    async def load(self, name: str, config: str | None = None) -> None:
        """Load (or load again) all versions of a model and return when it is ready.

        Args:
            name: a model that the repository knows.
            config: JSON text that overrides fields of its `model.yaml`, or None.

        Raises:
            NotFound: the repository has no such model.
            ShoalError: it could not be loaded; what was served before goes on.
        """
        ...

    async def unload(self, name: str) -> None:
        """Drain and stop all versions of a model.

        Raises:
            NotFound: no such model.
        """
        ...
