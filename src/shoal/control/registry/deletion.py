"""Deletion: tombstones first, and only much later forgetting.

A tombstone is refused to everybody, but its manifest and so its blobs are still there; `purge` forgets the manifests of
old tombstones, after which the artifact store may drop what `live_digests` does not name. Tombstones themselves stay:
a number is never given out again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from sqlalchemy import Connection, delete, func, select, update

from shoal.control.registry import schema
from shoal.control.registry.models import AnyRow, require_model, stages_of
from shoal.control.registry.part import Part, Writing
from shoal.control.registry.versions import to_version
from shoal.core.errors import Conflict, NotFound
from shoal.core.registry import Version

_versions = schema.versions
_models = schema.models
_PAGE = 10_000


class DeletionPart(Part):
    """Tombstones and what is still alive."""

    def delete_version(self, namespace: str, model: str, number: int, *, actor: str = "") -> None:
        """Make a version a tombstone; one that is a tombstone stays one.

        Raises:
            Conflict: a stage points at it.
            NotFound: there never was such a version.
        """
        with self._writing(actor) as writing:
            of = require_model(writing.connection, namespace, model, deleted=True)
            mine = (_versions.c.model_id == of.id, _versions.c.number == number)
            row = writing.connection.execute(select(_versions.c.deleted).where(*mine)).first()
            if not row:
                raise NotFound(f"the model {model} has no version {number}", hint="see its versions", field="version")
            if row.deleted:
                return
            _refuse_pointed(writing.connection, of, number)
            _bury(writing, of, number)
            writing.note("version.delete", namespace, model, {"version": number})
            writing.changed("model", namespace, model)

    def delete_model(self, namespace: str, model: str, *, actor: str = "") -> None:
        """Make a model and all its versions tombstones; one that is a tombstone stays one.

        Raises:
            Conflict: it has a stage.
            NotFound: there never was such a model.
        """
        with self._writing(actor) as writing:
            of = require_model(writing.connection, namespace, model, deleted=True)
            if of.deleted:
                return
            _refuse_pointed(writing.connection, of)
            _bury(writing, of)
            writing.connection.execute(update(_models).where(_models.c.id == of.id).values(deleted=True))
            writing.note("model.delete", namespace, model)
            writing.changed("model", namespace, model)

    def tombstones(self) -> list[Version]:
        """Deleted versions whose manifests are still there, oldest deletion first."""
        wanted = (
            select(_models.c.namespace, _models.c.name, _versions)
            .join(_models, _models.c.id == _versions.c.model_id)
            .where(_versions.c.deleted.is_(True), _versions.c.purged.is_(False))
            .order_by(_versions.c.deleted_at, _versions.c.model_id, _versions.c.number)
        )
        with self._reading() as connection:
            return [to_version(row.namespace, row.name, row) for row in connection.execute(wanted)]

    def purge(self, older_than_seconds: float, *, actor: str = "") -> int:
        """Forget manifests of versions that were deleted so long ago; how many versions. Kept answers as old go, too.

        Nothing that can be seen changes, so the feed does not grow.
        """
        with self._writing(actor) as writing:
            connection, before = writing.connection, writing.now - older_than_seconds
            old = (_versions.c.deleted.is_(True), _versions.c.purged.is_(False), _versions.c.deleted_at <= before)
            count: int = connection.execute(update(_versions).where(*old).values(purged=True)).rowcount
            _forget_manifests(connection)
            connection.execute(delete(schema.keys).where(schema.keys.c.at <= before))
            if count:
                writing.note("purge", "", detail={"versions": count})
            return count

    def live_digests(self) -> Iterator[str]:
        """SHA-256 of each blob that a version that is not purged refers to, in order, as of one moment."""
        wanted = select(schema.blobs.c.sha256).distinct().order_by(schema.blobs.c.sha256)
        with self._reading() as connection:
            found = connection.execution_options(yield_per=_PAGE).execute(wanted)
            with closing(found):
                yield from found.scalars()


def _refuse_pointed(connection: Connection, of: AnyRow, number: int | None = None) -> None:
    labels = stages_of(connection, [of.id]).get(of.id, {})
    pointing = [f"{stage} ({at})" for stage, at in labels.items() if number in (None, at)]
    if pointing:
        what = of.name if number is None else f"version {number} of {of.name}"
        hint = "move or remove the stage first"
        raise Conflict(f"{what} is in use by the stage {', '.join(pointing)}", hint=hint, field="stage")


def _bury(writing: Writing, of: AnyRow, number: int | None = None) -> None:
    mine = [_versions.c.model_id == of.id, _versions.c.deleted.is_(False)]
    gone = mine if number is None else [*mine, _versions.c.number == number]
    connection = writing.connection
    connection.execute(update(_versions).where(*gone).values(deleted=True, deleted_at=writing.now))
    latest = connection.execute(select(func.max(_versions.c.number)).where(*mine)).scalar() or 0
    connection.execute(update(_models).where(_models.c.id == of.id).values(latest=latest))


def _forget_manifests(connection: Connection) -> None:
    table = schema.manifests
    purged = select(_versions.c.digest).where(_versions.c.deleted.is_(True), _versions.c.purged.is_(True))
    needed = select(_versions.c.digest).where(_versions.c.digest == table.c.digest, _versions.c.purged.is_(False))
    connection.execute(delete(table).where(table.c.digest.in_(purged), ~needed.exists()))
