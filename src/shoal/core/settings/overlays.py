"""One environment laid over the rest of a settings file, each field still knowing where it was written.

    replicas: 1                     base
    environments:
      production: {replicas: 3}     its overlay

Mappings are merged, everything else is replaced, and `null` takes a field back to its default. Of fields that exclude
each other, one that the overlay says ends the others of the base. `Laid` is what results; the pure function `lay` makes
it in time linear in what it reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from shoal.core.settings.documents import Document, Path

OVERLAYS = "environments"


@dataclass(slots=True)
class Laid:
    """A document made of parts of another one.

    Attributes:
        document: values, lines and texts by the paths they have now.
        origin: path that a field has now -> path where it was written.
    """

    document: Document = field(default_factory=Document)
    origin: dict[Path, Path] = field(default_factory=dict)

    def written(self, path: Path) -> Path:
        """Where a field was written; one that was not, below the field that it would be in."""
        for length in range(len(path), 0, -1):
            if (source := self.origin.get(path[:length])) is not None:
                return (*source, *path[length:])
        return path


def lay(base: Document, environment: str = "", exclusive: Sequence[frozenset[str]] = ()) -> Laid:
    """The fields of one environment.

    Args:
        base: the whole file, which holds fields.
        environment: whose overlay is laid over; "" lays none.
        exclusive: groups of fields of which one is said at most.
    """
    overlays = base.value.get(OVERLAYS) or {}
    over = overlays.get(environment) or {}
    below = {name: value for name, value in base.value.items() if name != OVERLAYS}
    for group in exclusive:
        if any(over.get(name) is not None for name in group):
            below = {name: value for name, value in below.items() if name not in group or name in over}
    laid = Laid()
    laid.document.value = _merged(below, over, (), (OVERLAYS, environment), laid)
    for path, source in laid.origin.items():
        laid.document.line[path] = base.line[source]
        if source in base.text:
            laid.document.text[path] = base.text[source]
    return laid


def _merged(below: dict[str, Any], over: dict[str, Any], path: Path, prefix: Path, laid: Laid) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in below.items():
        if name not in over:
            result[name] = value
            _trace(value, (*path, name), (*path, name), laid)
    for name, value in over.items():
        here = (*path, name)
        if isinstance(value, dict):
            beneath = below.get(name)
            result[name] = _merged(beneath if isinstance(beneath, dict) else {}, value, here, prefix, laid)
            laid.origin[here] = (*prefix, *here)
        elif value is not None:
            result[name] = value
            _trace(value, here, (*prefix, *here), laid)
    return result


def _trace(value: Any, path: Path, source: Path, laid: Laid) -> None:
    """Note where a value and all in it was written."""
    laid.origin[path] = source
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, each in inner:
        _trace(each, (*path, part), (*source, part), laid)
