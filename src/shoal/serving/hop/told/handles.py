"""Models as a gateway knows them: by what a proxy has told of them."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

from shoal.core.model import ModelSpec, ModelState
from shoal.core.types import Signature
from shoal.serving.hop.messages import Facts
from shoal.serving.hop.sending.dispatch import RemoteDispatch

Object = dict[str, Any]


class RemoteHandle:
    """One version of a model, or the one that is served by default; implements `core.ports.ModelHandle`.

    Attributes:
        name, version: as it was asked for.
        dispatch: where calls go.
        mark: of what was told last.
        used: somebody has looked at it since it was last refreshed.
        told_at: when a proxy has told its figures last.
        explained: what a proxy says of it.
    """

    __slots__ = (
        "_facts",
        "_statistics",
        "dispatch",
        "explained",
        "mark",
        "name",
        "spec",
        "told_at",
        "used",
        "version",
    )

    def __init__(self, name: str, version: str, facts: Facts, dispatch: RemoteDispatch, mark: int = 0) -> None:
        self.name = name
        self.version = version
        self.dispatch = dispatch
        self.used = True
        self._statistics: Object = {}
        self.explained: Object = {}
        self.told_at = -inf
        self.apply(facts, mark)

    def apply(self, facts: Facts, mark: int) -> None:
        """A proxy has told something new."""
        self._facts = facts
        self.spec: ModelSpec = facts.spec
        self.mark = mark
        self.dispatch.follow(facts.spec)

    def count(self, statistics: Object) -> None:
        """The proxies have told what it has done so far."""
        self._statistics = statistics

    @property
    def state(self) -> ModelState:
        return self._facts.state

    @property
    def reason(self) -> str:
        return self._facts.reason

    @property
    def signature(self) -> Signature:
        return self._facts.signature

    @property
    def batchable(self) -> bool:
        return self._facts.batchable

    @property
    def batch_reason(self) -> str:
        return self._facts.batch_reason

    @property
    def platform(self) -> str:
        return self._facts.platform

    @property
    def example(self) -> str:
        return self._facts.example

    def statistics(self) -> Object:
        """See `core.ports.ModelHandle`: as they were told last."""
        return {"name": self.spec.name, "version": self.spec.version, **self._statistics}


def added(statistics: Iterable[Object]) -> Object:
    """V2 statistics of one version at several proxies, as one: counts and times are added up."""
    total: Object = {}
    for each in statistics:
        for name, value in each.items():
            total[name] = _plus(name, total[name], value) if name in total else value
    return total


def _plus(name: str, one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return added((one, other))
    if isinstance(one, list) and isinstance(other, list):
        sizes: dict[Any, Object] = {}
        for each in (*one, *other):
            size = each.get("batch_size")
            sizes[size] = {**added((sizes[size], each)), "batch_size": size} if size in sizes else each
        return [sizes[size] for size in sorted(sizes)]
    if isinstance(one, int | float) and isinstance(other, int | float) and not isinstance(one, bool):
        return max(one, other) if name.startswith("last_") else one + other
    return one
