"""Services: what `service.yaml` said, with all earlier revisions; found by name, owner, text, environment."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, tuple_, update

from shoal.control.registry import quotas, schema
from shoal.control.registry.documents import check_model, check_text, dump, load, pattern, searchable
from shoal.control.registry.models import AnyRow
from shoal.control.registry.namespaces import require_namespace
from shoal.control.registry.part import Part, Writing
from shoal.control.registry.records import ServiceRecord
from shoal.control.registry.within import Reach, within
from shoal.core.errors import Conflict, NotFound
from shoal.core.quotas import Holding
from shoal.core.registry import PRODUCTION, check_label
from shoal.core.service import Service, address

_table = schema.services
_revisions = schema.service_revisions


class ServicesPart(Part):
    """The catalogue of services."""

    def put_service(self, service: Service, *, actor: str = "", expected: int | None = None) -> ServiceRecord:
        """Make a service be this; where it is this already, nothing is done.

        Args:
            expected: the revision that it must have now (0: there must be none, or a tombstone).

        Raises:
            Conflict: it has another revision.
            NotFound: there is no such namespace.
            QuotaExceeded: the namespace may not hold so many services.
        """
        columns = _columns(service)
        with self._writing(actor) as writing:
            require_namespace(writing.connection, service.namespace)
            now = _find(writing.connection, service.namespace, service.name, service.environment)
            if now and not now.deleted and load(now.body, Service) == service:
                return _to_record(now)
            if expected is not None:
                _compare(now, expected, service)
            record = _keep(writing, now, service, {**columns, "deleted": False}, "service.put")
            quotas.check(writing, service.namespace, Holding(services=int(now is None or now.deleted)))
            return record

    def service(self, namespace: str, name: str, environment: str = PRODUCTION) -> ServiceRecord:
        """One service.

        Raises:
            NotFound: there is none, or it was deleted.
        """
        with self._reading() as connection:
            return _to_record(_require(connection, namespace, name, environment))

    def services(
        self,
        *,
        namespace: str | None = None,
        environment: str | None = None,
        search: str = "",
        owner: str = "",
        deleted: bool = False,
        reach: Reach | None = None,
        limit: int = 100,
        after: tuple[str, str, str] = ("", "", ""),
    ) -> list[ServiceRecord]:
        """A page of services, ordered by namespace, name and environment, from behind `after`.

        Args:
            search: what name, owner, description, tags or model must contain, whatever the case.
            deleted: show tombstones, too.
            reach: only these, by namespace and name; None: all.
        """
        columns = _table.c
        conditions: list[ColumnElement[bool]] = [] if deleted else [columns.deleted.is_(False)]
        for column, wanted in ((columns.namespace, namespace), (columns.environment, environment)):
            if wanted is not None:
                conditions.append(column == wanted)
        if owner:
            conditions.append(columns.owner == owner)
        if search:
            conditions.append(columns.search.like(pattern(search), escape="\\"))
        if reach is not None:
            conditions.append(within(reach, columns.namespace, columns.name))
        place = (columns.namespace, columns.name, columns.environment)
        page = select(_table).where(*conditions, tuple_(*place) > tuple_(*after)).order_by(*place).limit(limit)
        with self._reading() as connection:
            return [_to_record(row) for row in connection.execute(page)]

    def service_history(
        self, namespace: str, name: str, environment: str = PRODUCTION, *, limit: int = 100
    ) -> list[ServiceRecord]:
        """All revisions of a service, newest first, also of a deleted one."""
        with self._reading() as connection:
            of = _require(connection, namespace, name, environment, deleted=True)
            wanted = select(_revisions).where(_revisions.c.service_id == of.id)
            page = wanted.order_by(_revisions.c.revision.desc()).limit(limit)
            return [_to_revision(of, row) for row in connection.execute(page)]

    def delete_service(
        self, namespace: str, name: str, environment: str = PRODUCTION, *, actor: str = "", expected: int | None = None
    ) -> ServiceRecord:
        """Make a service a tombstone; one that is a tombstone stays one.

        Raises:
            Conflict: it has another revision than expected.
            NotFound: there never was such a service.
        """
        with self._writing(actor) as writing:
            now = _require(writing.connection, namespace, name, environment, deleted=True)
            if now.deleted:
                return _to_record(now)
            service = load(now.body, Service)
            if expected is not None:
                _compare(now, expected, service)
            return _keep(writing, now, service, {"body": now.body, "deleted": True}, "service.delete")


def _columns(service: Service) -> dict[str, Any]:
    check_model(service.name, "service")
    check_label(service.environment, "environment")
    for text, what in ((service.description, "description"), (service.owner, "owner")):
        check_text(text, what)
    tags = (f"{key}={value}" for key, value in service.tags.items())
    search = searchable(service.name, service.owner, service.description, service.model, *tags)
    return {"body": dump(service, Service, "service"), "owner": service.owner, "search": search}


def _keep(
    writing: Writing, now: AnyRow | None, service: Service, columns: dict[str, Any], action: str
) -> ServiceRecord:
    connection, revision = writing.connection, now.revision + 1 if now else 1
    stamped = {**columns, "revision": revision, "updated": writing.now, "actor": writing.actor}
    if now:
        connection.execute(update(_table).where(_table.c.id == now.id).values(stamped))
    else:
        own = {"namespace": service.namespace, "name": service.name, "environment": service.environment}
        connection.execute(insert(_table).values(**own, **stamped, created=writing.now))
    row = _require(connection, service.namespace, service.name, service.environment, deleted=True)
    kept = {"body": row.body, "at": writing.now, "actor": writing.actor, "deleted": row.deleted}
    connection.execute(insert(_revisions).values(service_id=row.id, revision=revision, **kept))
    writing.note(action, service.namespace, address(service.name, service.environment), {"revision": revision})
    writing.changed("service", service.namespace, service.name, service.environment)
    return _to_record(row)


def _compare(now: AnyRow | None, expected: int, service: Service) -> None:
    revision = now.revision if now and not now.deleted else 0
    if revision != expected:
        place = f"has revision {revision}" if revision else "is not there"
        hint = "somebody else has changed it; look again, then decide"
        raise Conflict(f"the service {service.address} {place}, not revision {expected}", hint=hint, field="expected")


def _find(connection: Connection, namespace: str, name: str, environment: str) -> AnyRow | None:
    mine = (_table.c.namespace == namespace, _table.c.name == name, _table.c.environment == environment)
    return connection.execute(select(_table).where(*mine)).first()


def _require(connection: Connection, namespace: str, name: str, environment: str, *, deleted: bool = False) -> AnyRow:
    row = _find(connection, namespace, name, environment)
    if row and (deleted or not row.deleted):
        return row
    told = address(name[:128], environment[:63], namespace[:63])
    if row:
        raise NotFound(f"the service {told} was deleted", hint="deploy it again to have it back", field="service")
    require_namespace(connection, namespace)
    raise NotFound(f"there is no service {told!a}", hint="`shoal services` shows what there is", field="service")


def _to_record(row: AnyRow) -> ServiceRecord:
    return ServiceRecord(
        service=load(row.body, Service),
        revision=row.revision,
        created=row.created,
        updated=row.updated,
        actor=row.actor,
        deleted=row.deleted,
    )


def _to_revision(of: AnyRow, row: AnyRow) -> ServiceRecord:
    return ServiceRecord(
        service=load(row.body, Service),
        revision=row.revision,
        created=of.created,
        updated=row.at,
        actor=row.actor,
        deleted=row.deleted,
    )
