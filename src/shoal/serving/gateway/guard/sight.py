"""The models, as somebody sees them: what may not be seen is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from shoal.core.errors import NotFound
from shoal.core.ports import ModelHandle, Models

Visible = Callable[[str], bool]


class Sight:
    """Some of the models; implements `core.ports.Models`.

    Args:
        models: all of them.
        visible: whether a model of this name is seen.
    """

    def __init__(self, models: Models, visible: Visible) -> None:
        self._models = models
        self._visible = visible

    def find(self, name: str, version: str = "") -> ModelHandle:
        self._check(name)
        return self._models.find(name, version)

    def discoverable(self, name: str, version: str = "") -> bool:
        return self._visible(name) and self._models.discoverable(name, version)

    async def discover(self, name: str, version: str = "") -> None:
        self._check(name)
        await self._models.discover(name, version)

    def measured(self, name: str, version: str = "") -> bool:
        self._check(name)
        return self._models.measured(name, version)

    async def measure(self, name: str, version: str = "") -> None:
        self._check(name)
        await self._models.measure(name, version)

    def ready(self) -> bool:
        return self._models.ready()

    def explain(self, name: str, version: str = "") -> dict[str, object]:
        self._check(name)
        return self._models.explain(name, version)

    def versions(self, name: str) -> Sequence[ModelHandle]:
        return self._models.versions(name) if self._visible(name) else ()

    def all(self) -> Sequence[ModelHandle]:
        return [each for each in self._models.all() if self._visible(each.spec.name)]

    def some(self, limit: int) -> Iterable[str]:
        return filter(self._visible, self._models.some(limit))

    async def load(self, name: str, config: str | None = None) -> None:
        self._check(name)
        await self._models.load(name, config)

    async def unload(self, name: str) -> None:
        self._check(name)
        await self._models.unload(name)

    def _check(self, name: str) -> None:
        if not self._visible(name):
            raise unknown(name)


def unknown(name: str) -> NotFound:
    """The answer to who asks for what is not there, as far as they can tell."""
    return NotFound(f"there is no model {name!r}")
