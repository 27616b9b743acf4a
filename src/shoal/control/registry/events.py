"""The record of who did what, newest first.

Events are numbered in the order in which they became true, because writers are alone (see `engine`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from shoal.control.audit.chain import Head, verify
from shoal.control.audit.reported import Denial
from shoal.control.registry import schema
from shoal.control.registry.auditing import chained, head
from shoal.control.registry.documents import check_text, load
from shoal.control.registry.part import Detail, Part
from shoal.control.registry.records import Event
from shoal.control.registry.within import Reach, within
from shoal.core.keyring import Verdict


class EventsPart(Part):
    """Reading the events, and leaving one for what was denied."""

    def events(
        self, limit: int = 100, before: int | None = None, *, subject: str = "", reach: Reach | None = None
    ) -> list[Event]:
        """The newest events, those of one model or service address if asked for; `before` pages by number.

        Args:
            reach: only of these namespaces; None: all.
        """
        table = schema.events
        wanted = select(table).order_by(table.c.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(table.c.id < before)
        if subject:
            wanted = wanted.where(table.c.subject == subject)
        if reach is not None:
            wanted = wanted.where(within(reach, table.c.namespace))
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
                    outcome=row.outcome,
                    request=row.request,
                    hash=row.hash,
                )
                for row in connection.execute(wanted)
            ]

    def note_collected(self, blobs: int, size: int, *, actor: str = "") -> None:
        """Leave a record of files that a collection has taken from the store."""
        with self._writing(actor) as writing:
            writing.note("gc", "", detail={"blobs": blobs, "bytes": size})

    def deny(self, actor: str, action: str, namespace: str, subject: str, detail: Detail) -> None:
        """Leave a record of what somebody wanted and may not."""
        with self._writing(actor) as writing:
            writing.note(action, namespace, subject, detail, "denied")

    def deny_many(self, denials: Sequence[Denial], *, actor: str = "") -> None:
        """Leave records of what others have wanted and may not, as `actor` tells; all of them, or none."""
        with self._writing(actor) as writing:
            for each in denials:
                told = (each.action, each.namespace, each.subject, each.detail)
                writing.note(*told, "denied", actor=check_text(each.actor, "actor"))

    def verify_audit(self, remembered: Head | None = None) -> Verdict:
        """Whether the whole record is what was written; `remembered` is a head that somebody has kept elsewhere."""
        with self._reading() as connection:
            return verify(chained(connection), head(connection), remembered)
