"""The record of who did what, newest first.

Events are numbered in the order in which they became true, because writers are alone (see `engine`).
"""

from __future__ import annotations

from sqlalchemy import select

from shoal.control.registry import schema
from shoal.control.registry.documents import load
from shoal.control.registry.part import Detail, Part
from shoal.control.registry.records import Event


class EventsPart(Part):
    """Reading the events."""

    def events(self, limit: int = 100, before: int | None = None, *, subject: str = "") -> list[Event]:
        """The newest events, those of one model or service address if asked for; `before` pages by number."""
        table = schema.events
        wanted = select(table).order_by(table.c.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(table.c.id < before)
        if subject:
            wanted = wanted.where(table.c.subject == subject)
        with self._reading() as connection:
            return [
                Event(
                    number=row.id,
                    at=row.at,
                    actor=row.actor,
                    action=row.action,
                    namespace=row.namespace,
                    subject=row.subject,
                    detail=load(row.detail, Detail),
                )
                for row in connection.execute(wanted)
            ]
