"""API keys, and the events as a chain: those that are there are chained in their order."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from shoal.control.audit.chain import START, Record, link

revision = "0002"
down_revision = "0001"

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_events = sa.table(
    "events",
    *(sa.column(name) for name in ("id", "at", "actor", "action", "namespace", "subject", "detail", "outcome", "hash")),
)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, _NUMBER, nullable=False, server_default="0")


def _time(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=False, server_default="0")


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", _NAME, primary_key=True),
        _text("name"),
        _text("sha256"),
        _text("grants"),
        _text("tenant"),
        _time("created"),
        _time("expires"),
        _time("revoked"),
        _time("used"),
        _text("creator"),
        _number("revision"),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        _number("number"),
        _text("hash"),
    )
    for name in ("outcome", "request", "hash"):
        op.add_column("events", _text(name))
    number, before = _chain(op.get_bind())
    head = sa.table("audit_head", sa.column("id"), sa.column("number"), sa.column("hash"))
    op.execute(head.insert().values(id=1, number=number, hash=before))


def _chain(connection: sa.Connection) -> tuple[int, str]:
    """Chain the events that are there; number and hash of the newest."""
    number, before = 0, START
    columns = _events.c
    for row in connection.execute(sa.select(_events).order_by(columns.id)).all():
        detail = json.loads(row.detail)
        record = Record(row.id, row.at, row.actor, row.action, row.namespace, row.subject, detail, "done", "")
        number, before = row.id, link(before, record)
        connection.execute(sa.update(_events).where(columns.id == number).values(outcome="done", hash=before))
    return number, before
