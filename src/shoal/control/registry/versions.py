"""Versions: found by number, alias, stage or `latest`, listed, and described. Their content never changes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, func, literal, select, update

from shoal.control.registry import schema
from shoal.control.registry.documents import MAX_NUMBER, check_text, dump, load
from shoal.control.registry.models import AnyRow, require_model, stages_of
from shoal.control.registry.part import Part
from shoal.core.errors import NotFound
from shoal.core.registry import LATEST, Lineage, Manifest, Tags, Version

_table = schema.versions
_SHOWN = 10


class VersionsPart(Part):
    """Finding and describing versions."""

    def version(self, namespace: str, model: str, ref: str) -> Version:
        """One version, by number, stage, alias, or `latest`.

        Raises:
            NotFound: there is none, with a hint of what is there; or it was deleted.
        """
        with self._reading() as connection:
            of = require_model(connection, namespace, model)
            return to_versions(connection, of, [resolve(connection, of, ref)])[0]

    def versions(
        self, namespace: str, model: str, *, deleted: bool = False, limit: int = 100, before: int | None = None
    ) -> list[Version]:
        """Versions of a model, highest first; `deleted` shows tombstones, too."""
        with self._reading() as connection:
            of = require_model(connection, namespace, model, deleted=deleted)
            wanted = select(_table).where(_table.c.model_id == of.id).order_by(_table.c.number.desc()).limit(limit)
            if not deleted:
                wanted = wanted.where(_table.c.deleted.is_(False))
            if before is not None:
                wanted = wanted.where(_table.c.number < before)
            return to_versions(connection, of, connection.execute(wanted).all())

    def manifest(self, digest: str) -> Manifest:
        """The files behind a version's digest.

        Raises:
            NotFound: no version has it that is not purged.
        """
        table = schema.manifests
        with self._reading() as connection:
            content = connection.execute(select(table.c.content).where(table.c.digest == digest)).scalar()
        if content is None:
            raise NotFound(f"there is no manifest {digest[:80]!a}", hint="its versions may be deleted", field="digest")
        return load(content, Manifest)

    def describe_version(
        self,
        namespace: str,
        model: str,
        number: int,
        *,
        description: str | None = None,
        tags: Tags | None = None,
        actor: str = "",
    ) -> Version:
        """Change what is said about a version; None leaves it as it is."""
        with self._writing(actor) as writing:
            of = require_model(writing.connection, namespace, model)
            row = resolve(writing.connection, of, str(number))
            said = row.description if description is None else check_text(description, "description")
            written = row.tags if tags is None else dump(tags, Tags, "tags")
            mine = (_table.c.model_id == of.id, _table.c.number == row.number)
            writing.connection.execute(update(_table).where(*mine).values(description=said, tags=written))
            writing.note("version.describe", namespace, model, {"version": row.number})
            writing.changed("model", namespace, model)
            return to_versions(writing.connection, of, [resolve(writing.connection, of, str(number))])[0]


def resolve(connection: Connection, of: AnyRow, ref: str) -> AnyRow:
    """The row of a version that is there.

    Args:
        of: the model's row.
        ref: a number, a stage, an alias, or `latest`.

    Raises:
        NotFound: there is none, or it was deleted.
    """
    row = connection.execute(select(_table).where(_table.c.model_id == of.id, _meant(of, ref))).first()
    if row and not row.deleted:
        return row
    if row:
        sentence = f"version {row.number} of the model {of.name} was deleted"
    else:
        sentence = f"the model {of.name} of namespace {of.namespace} has no version {ref[:64]!a}"
    raise NotFound(sentence, hint=_what_is_there(connection, of), field="version")


def _meant(of: AnyRow, ref: str) -> ColumnElement[bool]:
    if ref == LATEST:
        return _table.c.number == literal(of.latest)
    if ref.isascii() and ref.isdecimal():
        return _table.c.number == literal(int(ref) if len(ref) <= len(str(MAX_NUMBER)) else 0)
    stages, versions = schema.stages.c, _table.alias().c
    staged = select(stages.number).where(stages.model_id == of.id, stages.stage == ref, stages.number > 0)
    aliased = select(versions.number).where(versions.model_id == of.id, versions.alias == ref)
    return _table.c.number == func.coalesce(staged.scalar_subquery(), aliased.scalar_subquery())


def _what_is_there(connection: Connection, of: AnyRow) -> str:
    own = (_table.c.model_id == of.id, _table.c.deleted.is_(False))
    wanted = select(_table.c.number, _table.c.alias).where(*own).order_by(_table.c.number.desc()).limit(_SHOWN + 1)
    rows = connection.execute(wanted).all()
    numbers = ", ".join(f"{row.number} ({row.alias})" if row.alias else str(row.number) for row in rows[:_SHOWN])
    more = " and older ones" if len(rows) > _SHOWN else ""
    labels = stages_of(connection, [of.id]).get(of.id, {})
    stages = "".join(f", {stage} = {number}" for stage, number in labels.items())
    return f"there is: {numbers}{more}{stages}" if rows else "it has no version that is not deleted"


def to_versions(connection: Connection, of: AnyRow, rows: Sequence[AnyRow]) -> list[Version]:
    """The versions of rows of one model, with the stages that point at them."""
    labels = stages_of(connection, [of.id]).get(of.id, {})
    return [to_version(of.namespace, of.name, row, _pointing(labels, row.number)) for row in rows]


def _pointing(labels: dict[str, int], number: int) -> tuple[str, ...]:
    return tuple(stage for stage, pointed in labels.items() if pointed == number)


def to_version(namespace: str, model: str, row: AnyRow, stages: tuple[str, ...] = ()) -> Version:
    """The version of a row."""
    return Version(
        namespace=namespace,
        model=model,
        version=row.number,
        digest=row.digest,
        size=row.size,
        runtime=row.runtime,
        trust=row.trust,
        alias=row.alias or "",
        description=row.description,
        tags=load(row.tags, Tags),
        lineage=load(row.lineage, Lineage),
        signature=row.signature,
        created=row.created,
        creator=row.creator,
        stages=stages,
        deleted=row.deleted,
    )
