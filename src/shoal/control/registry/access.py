"""API keys as they are kept: whom they stand for, what they may do, and a digest of their text.

A revoked key stays as a tombstone, so that the audit log's ids always have a name. Each change has a revision, the next
number; all that is valid together is an `AccessTable`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from shoal.control.registry import schema
from shoal.control.registry.documents import check_text, dump, load
from shoal.control.registry.part import Part, Writing
from shoal.core.access import ANY, AccessTable, Grant, KeyRecord, Permission, expand
from shoal.core.errors import Conflict, InvalidInput, NotFound, StorageFull
from shoal.core.keyring import KeyEntry

MAX_KEYS = 10_000
"""Keys that are valid at the same time: gateways hold all of them."""
MAX_EACH = 1000
"""Of these, those that one principal has made: nobody takes the room of all."""
MAX_NAME = 200
MAX_GRANTS = 100
EVERY_SECONDS = 3600.0
"""How exactly it is kept when a key was used last."""

_table = schema.api_keys
_Grants = tuple[Grant, ...]


class AccessPart(Part):
    """Keys of the API and of the data ports."""

    def create_key(
        self, record: KeyRecord, *, seconds: float = 0.0, limit: int = MAX_KEYS, each: int = MAX_EACH, actor: str = ""
    ) -> KeyEntry:
        """Keep a new key.

        Args:
            record: without its times.
            seconds: how long it is valid; 0: until it is revoked.
            limit, each: of the keys that are valid at the same time, of all and of those that one has made.

        Raises:
            InvalidInput: its grants cannot be.
            Conflict: it is the first one, and no administrator's: nobody could make another.
            StorageFull: there are too many.
        """
        row = _columns(record, seconds)
        with self._writing(actor) as writing:
            expires = writing.now + seconds if seconds else 0.0
            if not _is_admin(record.grants) and not _revision(writing.connection):
                hint = "shoal keys create admin --role admin --namespace '*'"
                raise Conflict("the first key must be an administrator's", hint=hint, field="grants")
            valid = _valid(writing.now)
            for of, bound in ((valid, limit), (valid & (_table.c.creator == writing.actor), each)):
                if _count(writing.connection, of) >= bound:
                    raise StorageFull(f"there are {bound} keys already", hint="revoke those that nobody uses")
            revision = _next(writing)
            more = {"created": writing.now, "expires": expires, "creator": writing.actor, "revision": revision}
            writing.connection.execute(insert(_table).values(**row, **more))
            detail = {"name": record.name, "grants": row["grants"], "tenant": record.tenant, "expires": expires}
            writing.note("key.create", _namespace(record.grants), record.id, detail)
            return _entry(_require(writing.connection, record.id))

    def revoke_key(self, key_id: str, *, actor: str = "") -> KeyEntry:
        """Let a key in no more; one that is revoked stays revoked.

        Raises:
            NotFound: there never was such a key.
            Conflict: it is the last one of an administrator.
        """
        with self._writing(actor) as writing:
            entry = _entry(_require(writing.connection, key_id))
            if entry.revoked:
                return entry
            if _is_admin(entry.grants):
                _keep_one(writing, key_id)
            values = {"revoked": writing.now, "revision": _next(writing)}
            writing.connection.execute(update(_table).where(_table.c.id == key_id).values(**values))
            writing.note("key.revoke", _namespace(entry.grants), key_id, {"name": entry.name})
            return _entry(_require(writing.connection, key_id))

    def key(self, key_id: str) -> KeyEntry:
        """One key, also a revoked one.

        Raises:
            NotFound: there never was such a key.
        """
        with self._reading() as connection:
            return _entry(_require(connection, key_id))

    def list_keys(self) -> list[KeyEntry]:
        """All keys, newest first, revoked ones among them."""
        wanted = select(_table).order_by(_table.c.created.desc(), _table.c.id)
        with self._reading() as connection:
            return [_entry(row) for row in connection.execute(wanted)]

    def access(self) -> AccessTable:
        """All keys that are valid now; revision 0: there never was one."""
        wanted = select(_table).where(_valid(self._clock())).order_by(_table.c.id)
        with self._reading() as connection:
            keys = tuple(_record(row) for row in connection.execute(wanted))
            return AccessTable(keys=keys, revision=_revision(connection))

    def access_revision(self) -> int:
        """The revision that `access` has now."""
        with self._reading() as connection:
            return _revision(connection)

    def mark_used(self, key_id: str) -> None:
        """Note that a key was used, to the hour; no event, and no entry of the feed."""
        now = self._clock()
        mine = (_table.c.id == key_id, _table.c.used < now - EVERY_SECONDS)
        with self._database.write() as connection:
            connection.execute(update(_table).where(*mine).values(used=now))


def _columns(record: KeyRecord, seconds: float) -> dict[str, Any]:
    if not record.name or len(record.name) > MAX_NAME or not record.name.isprintable():
        raise InvalidInput("a key needs a name", hint=f"1 to {MAX_NAME} printable characters", field="name")
    if not record.grants or len(record.grants) > MAX_GRANTS:
        raise InvalidInput("a key needs grants", hint=f"1 to {MAX_GRANTS}", field="grants")
    if not 0 <= seconds <= 1e10:
        raise InvalidInput("a key cannot be valid for so long", hint="0: until it is revoked", field="seconds")
    for each in record.grants:
        try:
            expand(each.permissions)
        except ValueError as error:
            hint = "see the guide on access for roles and permissions"
            raise InvalidInput(str(error), hint=hint, field="grants") from error
        check_text(each.namespace, "namespace")
        check_text(each.model, "model")
    told = {"name": record.name, "tenant": check_text(record.tenant, "tenant")}
    return {**told, "id": record.id, "sha256": record.sha256, "grants": dump(record.grants, _Grants, "grants")}


def _is_admin(grants: _Grants) -> bool:
    return any(Permission.ADMIN in expand(each.permissions) and each.namespace == each.model == ANY for each in grants)


def _namespace(grants: _Grants) -> str:
    """Whose audit log tells of a key: that of the namespace of its grants, if it is one."""
    names = {each.namespace for each in grants}
    return names.pop() if len(names) == 1 and ANY not in names else ""


def _keep_one(writing: Writing, key_id: str) -> None:
    """Refuse to revoke the last key that could make others."""
    wanted = select(_table).where(_valid(writing.now), _table.c.expires == 0, _table.c.id != key_id)
    if not any(_is_admin(load(row.grants, _Grants)) for row in writing.connection.execute(wanted)):
        hint = "make another administrator's key first, one that does not expire"
        raise Conflict("this is the last key of an administrator", hint=hint, field="id")


def _valid(now: float) -> ColumnElement[bool]:
    return (_table.c.revoked == 0) & ((_table.c.expires == 0) | (_table.c.expires > now))


def _count(connection: Connection, where: ColumnElement[bool]) -> int:
    count: int = connection.execute(select(func.count()).select_from(_table).where(where)).scalar_one()
    return count


def _revision(connection: Connection) -> int:
    return connection.execute(select(func.max(_table.c.revision))).scalar() or 0


def _next(writing: Writing) -> int:
    """The number of a change, which the feed is told of."""
    writing.changed("access", "")
    return _revision(writing.connection) + 1


def _require(connection: Connection, key_id: str) -> Row[Any]:
    row = connection.execute(select(_table).where(_table.c.id == key_id)).first()
    if row is None:
        raise NotFound(f"there is no key {key_id[:80]!a}", hint="`shoal keys list` shows them", field="id")
    return row


def _record(row: Row[Any]) -> KeyRecord:
    return KeyRecord(
        id=row.id,
        name=row.name,
        sha256=row.sha256,
        grants=load(row.grants, _Grants),
        tenant=row.tenant,
        created=row.created,
        expires=row.expires,
    )


def _entry(row: Row[Any]) -> KeyEntry:
    return KeyEntry(
        id=row.id,
        name=row.name,
        grants=load(row.grants, _Grants),
        tenant=row.tenant,
        created=row.created,
        expires=row.expires,
        revoked=row.revoked,
        used=row.used,
        creator=row.creator,
    )
