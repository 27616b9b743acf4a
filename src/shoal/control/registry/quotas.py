"""How much a namespace holds, and that it holds no more than it may.

What is limited is counted in the transaction of the change, once that is written: writers are alone, so no two that
come together pass the limit, and a change that does not fit leaves nothing behind. Nothing is counted where there is no
limit.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, case, func, select

from shoal.control.registry import schema
from shoal.control.registry.models import find_model
from shoal.control.registry.namespaces import require_namespace
from shoal.control.registry.part import Part, Writing
from shoal.core import quotas
from shoal.core.quotas import KINDS, Holding, Usage


class QuotasPart(Part):
    """What namespaces hold."""

    def usage(self, namespace: str) -> Usage:
        """What a namespace holds, and may hold.

        Raises:
            NotFound: there is no such namespace.
        """
        with self._reading() as connection:
            require_namespace(connection, namespace)
            return Usage(namespace=namespace, used=holding(connection, namespace), limits=self._limits(namespace))

    def check_room(self, namespace: str, model: str, size: int) -> None:
        """Whether a new version with files of so many bytes would fit as things are; before they are sent.

        Raises:
            QuotaExceeded, StorageQuotaExceeded: it would not.
            NotFound: there is no such namespace.
        """
        with self._reading() as connection:
            require_namespace(connection, namespace)
            row = find_model(connection, namespace, model)
            added = Holding(models=int(row is None or row.deleted), versions=1, bytes=size)
            limits = self._limits(namespace)
            used = holding(connection, namespace, quotas.limited(limits, added))
            quotas.check(namespace, limits, used, added)


def check(writing: Writing, namespace: str, added: Holding) -> None:
    """Refuse a change that was just written, and does not fit.

    Args:
        added: what of the namespace's holding is new by it.

    Raises:
        QuotaExceeded, StorageQuotaExceeded: it does not fit; with the error the transaction ends, so nothing stays.
    """
    limits = writing.limits(namespace)
    if not (kinds := quotas.limited(limits, added)):
        return
    now = holding(writing.connection, namespace, kinds)
    used = Holding(**{kind: getattr(now, kind) - getattr(added, kind) for kind in kinds})
    quotas.check(namespace, limits, used, added)


def holding(connection: Connection, namespace: str, kinds: Collection[str] = KINDS) -> Holding:
    """What a namespace holds of these kinds."""
    models, versions, services = schema.models, schema.versions, schema.services
    found: dict[str, int] = {}
    for kind, table in (("models", models), ("services", services)):
        if kind in kinds:
            mine = (table.c.namespace == namespace, table.c.deleted.is_(False))
            found[kind] = connection.execute(select(func.count()).select_from(table).where(*mine)).scalar_one()
    if "versions" in kinds or "bytes" in kinds:
        alive = func.sum(case((versions.c.deleted.is_(False), 1), else_=0))
        kept = func.sum(case((versions.c.purged.is_(False), versions.c.size), else_=0))
        joined = models.join(versions, models.c.id == versions.c.model_id)
        row = connection.execute(select(alive, kept).select_from(joined).where(models.c.namespace == namespace)).one()
        found["versions"], found["bytes"] = (int(each or 0) for each in row)
    return Holding(**found)
