"""How events are written and read as a chain (see `control.audit.chain`); its head is a row of its own.

Writers are alone, so the head that a writer reads is the newest, and all writers of a database make one chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, insert, select, update

from shoal.control.audit.chain import Head, Record, link
from shoal.control.registry import schema

BATCH = 1000


class Noted(NamedTuple):
    """An event of the transaction that is under way; `text` is the JSON of `detail`, `actor` is somebody other than who
    makes the transaction, or None."""

    action: str
    namespace: str
    subject: str
    detail: dict[str, Any]
    text: str
    outcome: str
    actor: str | None = None


def append(connection: Connection, events: Sequence[Noted], at: float, actor: str, request: str) -> None:
    """Chain these events to what is there, in this order."""
    last = head(connection)
    number, before = last.number, last.hash
    rows = []
    for each in events:
        number += 1
        who = actor if each.actor is None else each.actor
        before = link(
            before,
            Record(number, at, who, each.action, each.namespace, each.subject, each.detail, each.outcome, request),
        )
        row = {"id": number, "at": at, "actor": who, "action": each.action, "namespace": each.namespace}
        told = {"subject": each.subject, "detail": each.text, "outcome": each.outcome, "request": request}
        rows.append({**row, **told, "hash": before})
    connection.execute(insert(schema.events), rows)
    connection.execute(update(schema.audit_head).values(number=number, hash=before))


def head(connection: Connection) -> Head:
    """The newest record, as the head says."""
    row = connection.execute(select(schema.audit_head.c.number, schema.audit_head.c.hash)).first()
    return Head(*row) if row else Head()


def chained(connection: Connection) -> Iterator[tuple[Record | None, int, str]]:
    """All records in order, as `chain.verify` takes them."""
    table, last = schema.events, 0
    while rows := connection.execute(select(table).where(table.c.id > last).order_by(table.c.id).limit(BATCH)).all():
        for row in rows:
            yield _record(row), row.id, row.hash
        last = rows[-1].id


def _record(row: Row[Any]) -> Record | None:
    """What a row says, or None if that cannot be read."""
    try:
        detail = msgspec.json.decode(row.detail, type=dict[str, Any])
    except msgspec.DecodeError:
        return None
    return Record(row.id, row.at, row.actor, row.action, row.namespace, row.subject, detail, row.outcome, row.request)
