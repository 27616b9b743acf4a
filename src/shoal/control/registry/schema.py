"""The tables, as the code of today uses them; how a database gets there is in `migrations`.

    namespaces ─┬─ models ─┬─ versions ··· manifests ── blobs
                │          ├─ stages        (where each stage points now; 0: it was removed)
                │          └─ stage_moves   (how it came there)
                └─ services ── service_revisions
    changes, feed_head      the numbered feed            events, audit_head      who did what, chained by hashes
    keys                    answers to repeated requests
    api_keys                whom to let in; of a key there is only a digest

Names are compared byte by byte on every engine, so that pages come in one order. A version names its manifest by digest
without a foreign key: a purged tombstone keeps the digest of what it was when the manifest is gone. Values that nothing
searches for are JSON (see `documents`).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData()

_Name = Text().with_variant(Text(collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _number(name: str) -> Column[int]:
    return Column(name, _Number, nullable=False, server_default="0")


def _time(name: str) -> Column[float]:
    return Column(name, Double, nullable=False, server_default="0")


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=false())


namespaces = Table(
    "namespaces",
    metadata,
    Column("name", _Name, primary_key=True),
    _text("description"),
    _text("owner"),
    _text("policy"),
    _time("created"),
)

models = Table(
    "models",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("namespace", _Name, ForeignKey("namespaces.name"), nullable=False),
    Column("name", _Name, nullable=False),
    _text("description"),
    _text("owner"),
    _text("tags"),
    _text("search"),
    _number("latest"),
    _number("next"),
    _time("created"),
    _flag("deleted"),
    UniqueConstraint("namespace", "name", name="models_by_name"),
)

versions = Table(
    "versions",
    metadata,
    Column("model_id", _Number, ForeignKey("models.id"), primary_key=True, autoincrement=False),
    Column("number", _Number, primary_key=True, autoincrement=False),
    Column("digest", _Name, nullable=False),
    _number("size"),
    _text("runtime"),
    _text("trust"),
    Column("alias", _Name),
    _text("description"),
    _text("tags"),
    _text("lineage"),
    _text("signature"),
    _time("created"),
    _text("creator"),
    _flag("deleted"),
    _time("deleted_at"),
    _flag("purged"),
    UniqueConstraint("model_id", "alias", name="versions_by_alias"),
    Index("versions_by_digest", "digest"),
    Index("versions_by_deletion", "deleted", "deleted_at"),
)

manifests = Table(
    "manifests",
    metadata,
    Column("digest", _Name, primary_key=True),
    _number("size"),
    _text("content"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("manifest", _Name, ForeignKey("manifests.digest", ondelete="CASCADE"), primary_key=True),
    Column("sha256", _Name, primary_key=True),
    Index("blobs_by_digest", "sha256"),
)

stages = Table(
    "stages",
    metadata,
    Column("model_id", _Number, ForeignKey("models.id"), primary_key=True, autoincrement=False),
    Column("stage", _Name, primary_key=True),
    _number("number"),
    _number("move"),
)

stage_moves = Table(
    "stage_moves",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("model_id", _Number, ForeignKey("models.id"), nullable=False),
    Column("stage", _Name, nullable=False),
    _number("number"),
    _number("previous"),
    _number("back"),
    _time("at"),
    _text("actor"),
    _text("comment"),
    Index("stage_moves_by_stage", "model_id", "stage", "id"),
)

services = Table(
    "services",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("namespace", _Name, ForeignKey("namespaces.name"), nullable=False),
    Column("name", _Name, nullable=False),
    Column("environment", _Name, nullable=False),
    _text("owner"),
    _text("search"),
    _number("revision"),
    _text("body"),
    _time("created"),
    _time("updated"),
    _text("actor"),
    _flag("deleted"),
    UniqueConstraint("namespace", "name", "environment", name="services_by_address"),
)

service_revisions = Table(
    "service_revisions",
    metadata,
    Column("service_id", _Number, ForeignKey("services.id"), primary_key=True, autoincrement=False),
    Column("revision", _Number, primary_key=True, autoincrement=False),
    _text("body"),
    _time("at"),
    _text("actor"),
    _flag("deleted"),
)

feed_head = Table(
    "feed_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _number("position"),
    _number("floor"),
)

changes = Table(
    "changes",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=False),
    _text("kind"),
    _text("namespace"),
    _text("name"),
    _text("environment"),
)

events = Table(
    "events",
    metadata,
    Column("id", _Number, primary_key=True),
    _time("at"),
    _text("actor"),
    _text("action"),
    Column("namespace", _Name, nullable=False, server_default=""),
    Column("subject", _Name, nullable=False, server_default=""),
    _text("detail"),
    _text("outcome"),
    _text("request"),
    _text("hash"),
    Index("events_by_subject", "subject", "id"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _number("number"),
    _text("hash"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", _Name, primary_key=True),
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

keys = Table(
    "keys",
    metadata,
    Column("key", _Name, primary_key=True),
    _text("content"),
    _text("answer"),
    _time("at"),
)
