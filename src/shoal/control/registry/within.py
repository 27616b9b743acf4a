"""What of a list somebody may see, as a condition of the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, true

from shoal.core.access import ANY

Reach = Sequence[tuple[str, str]]
"""Namespaces and models, `ANY` among them; see `core.access.Principal.reach`."""


def within(reach: Reach, namespace: ColumnElement[Any], name: ColumnElement[Any] | None = None) -> ColumnElement[bool]:
    """Rows in reach.

    Args:
        namespace, name: the columns that say where a row belongs; without `name` it belongs to no model, and only what
            reaches all of a namespace reaches it.
    """
    parts: list[ColumnElement[bool]] = []
    for place, model in reach:
        if model != ANY and name is None:
            continue
        here = true() if place == ANY else namespace == place
        parts.append(here if model == ANY or name is None else and_(here, name == model))
    return or_(false(), *parts)
