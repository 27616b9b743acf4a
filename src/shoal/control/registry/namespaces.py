"""Namespaces and their policies. `default` is always there: the first migration makes it."""

from __future__ import annotations

from sqlalchemy import Connection, Row, insert, select, update

from shoal.control.registry import schema
from shoal.control.registry.documents import check_text, dump, load
from shoal.control.registry.part import Part
from shoal.core.errors import Conflict, InvalidInput, NotFound
from shoal.core.registry import LINEAGE_FIELDS, Namespace, Policy, check_label


class NamespacesPart(Part):
    """Rooms of teams and tenants."""

    def create_namespace(
        self, name: str, *, description: str = "", owner: str = "", policy: Policy | None = None, actor: str = ""
    ) -> Namespace:
        """Make a room; making the very same one again changes nothing.

        Raises:
            Conflict: there is another of this name.
        """
        with self._writing(actor) as writing:
            made = Namespace(
                name=check_label(name, "namespace"),
                description=check_text(description, "description"),
                owner=check_text(owner, "owner"),
                policy=check_policy(policy or Policy()),
                created=writing.now,
            )
            if known := _find(writing.connection, name):
                return _same(known, made)
            row = {"name": name, "description": description, "owner": owner, "created": writing.now}
            written = {**row, "policy": dump(made.policy, Policy, "policy")}
            writing.connection.execute(insert(schema.namespaces), written)
            writing.note("namespace.create", name)
            writing.changed("namespace", name)
        return made

    def namespace(self, name: str) -> Namespace:
        """One room.

        Raises:
            NotFound: there is none of this name.
        """
        with self._reading() as connection:
            return require_namespace(connection, name)

    def namespaces(self) -> list[Namespace]:
        """All rooms, by name."""
        with self._reading() as connection:
            rows = connection.execute(select(schema.namespaces).order_by(schema.namespaces.c.name))
            return [_to_namespace(row) for row in rows]

    def set_policy(self, name: str, policy: Policy, *, actor: str = "") -> Namespace:
        """Change what a room asks of its versions, from now on."""
        with self._writing(actor) as writing:
            require_namespace(writing.connection, name)
            written = dump(check_policy(policy), Policy, "policy")
            table = schema.namespaces
            writing.connection.execute(update(table).where(table.c.name == name).values(policy=written))
            writing.note("namespace.policy", name)
            writing.changed("namespace", name)
            return require_namespace(writing.connection, name)


def require_namespace(connection: Connection, name: str) -> Namespace:
    """One room.

    Raises:
        NotFound: there is none of this name.
    """
    found = _find(connection, name)
    if not found:
        names = connection.execute(select(schema.namespaces.c.name).order_by(schema.namespaces.c.name).limit(10))
        hint = f"there are: {', '.join(names.scalars())}; create it first"
        raise NotFound(f"there is no namespace {name[:80]!a}", hint=hint, field="namespace")
    return found


def check_policy(policy: Policy) -> Policy:
    """A policy that can be kept to.

    Raises:
        InvalidInput, ConfigError: it names what does not exist.
    """
    for field in policy.required_lineage:
        if field not in LINEAGE_FIELDS:
            hint = f"one of: {', '.join(LINEAGE_FIELDS)}"
            raise InvalidInput(f"{field[:80]!a} is no field of lineage", hint=hint, field="policy.required_lineage")
    for stage in (*policy.signed_stages, policy.served_stage):
        if stage:
            check_label(stage, "stage")
    return policy


def _find(connection: Connection, name: str) -> Namespace | None:
    row = connection.execute(select(schema.namespaces).where(schema.namespaces.c.name == name)).first()
    return _to_namespace(row) if row else None


def _same(known: Namespace, made: Namespace) -> Namespace:
    if (known.description, known.owner, known.policy) == (made.description, made.owner, made.policy):
        return known
    hint = "choose another name, or change the policy of this one"
    raise Conflict(f"there is a namespace {known.name} already", hint=hint, field="namespace")


def _to_namespace(row: Row[*tuple[object, ...]]) -> Namespace:
    values = dict(row._mapping)
    return Namespace(**{**values, "policy": load(values["policy"], Policy)})
