"""One loaded model of a worker: its adapter, and what turns bodies into calls of it and back."""

from __future__ import annotations

from shoal.core.clock import Clock
from shoal.core.errors import ModelContract
from shoal.core.model import ModelSpec
from shoal.core.types import Signature
from shoal.serving.adapters.base import Adapter, RequestAdapter, TextAdapter, TypedAdapter
from shoal.serving.worker.awaited import Awaited
from shoal.serving.worker.decode import Decoders
from shoal.serving.worker.encode import Encoder
from shoal.serving.worker.styles import Style
from shoal.serving.worker.text import Text
from shoal.serving.worker.typed import Typed


class Served:
    """A loaded model.

    Args:
        spec, adapter: what it is.
        clock: monotonic seconds.
        known: the signature, if it was found out before; else the adapter is asked.

    Attributes:
        spec, adapter: what it is.
        signature: what the author declares, else what the adapter knows.
        decoders, style, encoder: bytes -> requests -> results -> bytes.
    """

    def __init__(self, spec: ModelSpec, adapter: Adapter, clock: Clock, known: Signature | None = None) -> None:
        self.spec = spec
        self.adapter = adapter
        known = adapter.signature() if known is None else known
        self.signature = Signature(spec.inputs or known.inputs, spec.outputs or known.outputs)
        special = spec.allow_nonfinite
        self.decoders = Decoders(self.signature.inputs, special=special)
        self.style: Style = style_of(adapter, self.signature, clock, special=special)
        self.encoder = Encoder(spec.name, spec.version, special=special)

    @property
    def seconds_for_culprits(self) -> float:
        """How long halves of a failed batch may be tried, so that the worker does not seem to hang."""
        return self.spec.limits.execution / 2

    def close(self) -> None:
        """Let go of the adapter and what belongs to it."""
        if isinstance(self.style, Awaited):
            self.style.close()
        self.adapter.close()


def style_of(adapter: Adapter, signature: Signature, clock: Clock, *, special: bool) -> Style:
    """The style of an adapter."""
    if isinstance(adapter, TypedAdapter):
        return Typed(adapter, signature, clock, special=special)
    if isinstance(adapter, TextAdapter):
        return Text(adapter, signature, clock, special=special)
    if isinstance(adapter, RequestAdapter):
        return Awaited(adapter, signature, clock, special=special)
    raise ModelContract(f"{type(adapter).__name__} is none of TypedAdapter, TextAdapter, RequestAdapter")
