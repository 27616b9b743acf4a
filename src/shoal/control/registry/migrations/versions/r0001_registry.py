"""The first schema: everything.

Written down as it was then, and never changed again: later schemas are later files.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, _NUMBER, nullable=False, server_default="0")


def _time(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=False, server_default="0")


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def upgrade() -> None:
    _namespaces()
    _models()
    _versions()
    _manifests()
    _blobs()
    _stages()
    _stage_moves()
    _services()
    _service_revisions()
    _feed_head()
    _changes()
    _events()
    _keys()
    op.execute("INSERT INTO feed_head (id, position, floor) VALUES (1, 0, 0)")
    op.execute("INSERT INTO namespaces (name, policy) VALUES ('default', '{}')")


def _namespaces() -> None:
    op.create_table(
        "namespaces",
        sa.Column("name", _NAME, primary_key=True),
        _text("description"),
        _text("owner"),
        _text("policy"),
        _time("created"),
    )


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("namespace", _NAME, sa.ForeignKey("namespaces.name"), nullable=False),
        sa.Column("name", _NAME, nullable=False),
        _text("description"),
        _text("owner"),
        _text("tags"),
        _text("search"),
        _number("latest"),
        _number("next"),
        _time("created"),
        _flag("deleted"),
        sa.UniqueConstraint("namespace", "name", name="models_by_name"),
    )


def _versions() -> None:
    op.create_table(
        "versions",
        sa.Column("model_id", _NUMBER, sa.ForeignKey("models.id"), primary_key=True, autoincrement=False),
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=False),
        sa.Column("digest", _NAME, nullable=False),
        _number("size"),
        _text("runtime"),
        _text("trust"),
        sa.Column("alias", _NAME),
        _text("description"),
        _text("tags"),
        _text("lineage"),
        _text("signature"),
        _time("created"),
        _text("creator"),
        _flag("deleted"),
        _time("deleted_at"),
        _flag("purged"),
        sa.UniqueConstraint("model_id", "alias", name="versions_by_alias"),
    )
    op.create_index("versions_by_digest", "versions", ["digest"])
    op.create_index("versions_by_deletion", "versions", ["deleted", "deleted_at"])


def _manifests() -> None:
    op.create_table(
        "manifests",
        sa.Column("digest", _NAME, primary_key=True),
        _number("size"),
        _text("content"),
    )


def _blobs() -> None:
    op.create_table(
        "blobs",
        sa.Column("manifest", _NAME, sa.ForeignKey("manifests.digest", ondelete="CASCADE"), primary_key=True),
        sa.Column("sha256", _NAME, primary_key=True),
    )
    op.create_index("blobs_by_digest", "blobs", ["sha256"])


def _stages() -> None:
    op.create_table(
        "stages",
        sa.Column("model_id", _NUMBER, sa.ForeignKey("models.id"), primary_key=True, autoincrement=False),
        sa.Column("stage", _NAME, primary_key=True),
        _number("number"),
        _number("move"),
    )


def _stage_moves() -> None:
    op.create_table(
        "stage_moves",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("model_id", _NUMBER, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("stage", _NAME, nullable=False),
        _number("number"),
        _number("previous"),
        _number("back"),
        _time("at"),
        _text("actor"),
        _text("comment"),
    )
    op.create_index("stage_moves_by_stage", "stage_moves", ["model_id", "stage", "id"])


def _services() -> None:
    op.create_table(
        "services",
        sa.Column("id", _NUMBER, primary_key=True),
        sa.Column("namespace", _NAME, sa.ForeignKey("namespaces.name"), nullable=False),
        sa.Column("name", _NAME, nullable=False),
        sa.Column("environment", _NAME, nullable=False),
        _text("owner"),
        _text("search"),
        _number("revision"),
        _text("body"),
        _time("created"),
        _time("updated"),
        _text("actor"),
        _flag("deleted"),
        sa.UniqueConstraint("namespace", "name", "environment", name="services_by_address"),
    )


def _service_revisions() -> None:
    op.create_table(
        "service_revisions",
        sa.Column("service_id", _NUMBER, sa.ForeignKey("services.id"), primary_key=True, autoincrement=False),
        sa.Column("revision", _NUMBER, primary_key=True, autoincrement=False),
        _text("body"),
        _time("at"),
        _text("actor"),
        _flag("deleted"),
    )


def _feed_head() -> None:
    op.create_table(
        "feed_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        _number("position"),
        _number("floor"),
    )


def _changes() -> None:
    op.create_table(
        "changes",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=False),
        _text("kind"),
        _text("namespace"),
        _text("name"),
        _text("environment"),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", _NUMBER, primary_key=True),
        _time("at"),
        _text("actor"),
        _text("action"),
        sa.Column("namespace", _NAME, nullable=False, server_default=""),
        sa.Column("subject", _NAME, nullable=False, server_default=""),
        _text("detail"),
    )
    op.create_index("events_by_subject", "events", ["subject", "id"])


def _keys() -> None:
    op.create_table(
        "keys",
        sa.Column("key", _NAME, primary_key=True),
        _text("content"),
        _text("answer"),
        _time("at"),
    )
