"""In what two services differ, field by field.

A path names a field as `service.yaml` nests it: ``replicas``, ``autoscaling.max_replicas``, ``variables.LEVEL``. What
tells the services apart (namespace, name, environment) is no difference. Lists are compared as a whole.
"""

from __future__ import annotations

from typing import Any

import msgspec

from shoal.core.service import Service

IDENTITY = ("namespace", "name", "environment")
_MISSING = object()


class FieldChange(msgspec.Struct, frozen=True):
    """A field that differs.

    Attributes:
        path: of the field.
        old, new: plain values; None where there is none.
    """

    path: str
    old: Any
    new: Any


def diff(old: Service | None, new: Service | None) -> tuple[FieldChange, ...]:
    """The differences, in the order of the fields; of a service that is there alone, what is not the default."""
    return tuple(_changes(_plain(old, alone=new is None), _plain(new, alone=old is None), ""))


def _plain(service: Service | None, *, alone: bool) -> dict[str, Any]:
    if service is None:
        return {}
    fields: dict[str, Any] = msgspec.to_builtins(service)
    usual = msgspec.to_builtins(Service(name="", model="")) if alone else {}
    return {
        name: value for name, value in fields.items() if name not in IDENTITY and value != usual.get(name, _MISSING)
    }


def _changes(old: dict[str, Any], new: dict[str, Any], prefix: str) -> list[FieldChange]:
    found: list[FieldChange] = []
    for name in [*old, *(each for each in new if each not in old)]:
        before, after = old.get(name), new.get(name)
        path = f"{prefix}{name}"
        if isinstance(before, dict) and isinstance(after, dict):
            found += _changes(before, after, f"{path}.")
        elif before != after or (name in old) != (name in new):
            found.append(FieldChange(path, before, after))
    return found
