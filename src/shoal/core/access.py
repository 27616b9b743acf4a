"""Who may do what: the words that control and gateways share. Pure.

A **principal** is whoever a key or a token stands for. It holds **grants**: permissions on a model, or on all models,
of a namespace, or of all namespaces. A **role** is a name for a set of permissions. Nothing is allowed that no grant
allows.

What a principal may not even read does not exist for it: the answer is that of an unknown name.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

ANY = "*"
"""In a grant: every namespace, or every model."""


class Permission(StrEnum):
    """One thing that can be allowed, and nothing else with it."""

    READ = "read"
    """See that it exists: its versions, state, metadata, services."""
    INFER = "infer"
    """Ask a model."""
    OPERATE = "operate"
    """Load, unload, scale."""
    PUSH = "push"
    """Register versions and their files."""
    DEPLOY = "deploy"
    """Put services."""
    DEPLOY_CODE = "deploy:code"
    """Register versions whose format can run code when it is loaded."""
    DEPLOY_NETWORK = "deploy:network"
    """Register versions, and put services, whose workers use the network."""
    PROMOTE = "promote"
    """Move stages."""
    APPROVE = "approve"
    """Let through what an evaluation gate holds."""
    DELETE = "delete"
    """Delete versions, models and services."""
    READ_LOG = "read:log"
    """Read the prediction log."""
    MANAGE = "manage"
    """Policies of the namespace, its keys and its audit log."""
    NODE = "node"
    """What a serving node needs of control: routes, the feed, files, and whom to let in."""
    ADMIN = "admin"
    """What concerns all namespaces: nodes, garbage collection, metrics, the whole audit log."""


P = Permission
ENGINEER = frozenset({P.READ, P.INFER, P.OPERATE, P.PUSH, P.DEPLOY, P.PROMOTE, P.READ_LOG})
ROLES: dict[str, frozenset[Permission]] = {
    "caller": frozenset({P.INFER}),
    "viewer": frozenset({P.READ}),
    "engineer": ENGINEER,
    "qa": frozenset({P.READ, P.INFER, P.PROMOTE, P.APPROVE, P.READ_LOG}),
    "owner": (ENGINEER | {P.DEPLOY_CODE, P.DEPLOY_NETWORK, P.APPROVE, P.DELETE, P.MANAGE}),
    "node": frozenset({P.NODE}),
    "admin": frozenset(P),
}
"""Permissions by role. Who writes models cannot approve them, and only owners let code in, or the network."""


class Grant(msgspec.Struct, frozen=True):
    """Permissions on something.

    Attributes:
        permissions: names of permissions or roles.
        namespace: `ANY` for all of them.
        model: of the namespace; `ANY` for all of them, and for what belongs to no model.
    """

    permissions: tuple[str, ...]
    namespace: str = "default"
    model: str = ANY

    def allows(self, permission: Permission, namespace: str, model: str) -> bool:
        """Whether this grant alone allows it."""
        if self.namespace not in (ANY, namespace) or self.model not in (ANY, model):
            return False
        return permission in expand(self.permissions)


class Principal(msgspec.Struct, frozen=True):
    """Whoever asks.

    Attributes:
        id: of the key, or the token's subject: what the audit log says.
        name: for people.
        grants: what it may do.
        tenant: whose quota its requests count to.
    """

    id: str
    name: str
    grants: tuple[Grant, ...] = ()
    tenant: str = ""

    def allows(self, permission: Permission, namespace: str, model: str = ANY) -> bool:
        """Whether it may. What belongs to no single model (`ANY`) only a grant on all of them allows."""
        return any(grant.allows(permission, namespace, model) for grant in self.grants)

    def reach(self, permission: Permission) -> tuple[tuple[str, str], ...]:
        """Where it may: namespaces and models, `ANY` among them; what a list is filtered by."""
        return tuple((each.namespace, each.model) for each in self.grants if permission in expand(each.permissions))


EVERYBODY = Principal("local", "everybody on this machine", (Grant(("admin",), ANY),))
"""Who is there where nobody is asked for a key: on loopback, without keys configured."""


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an API key: never the key itself.

    Attributes:
        id: the public first part of the key.
        sha256: of the whole key, as hexadecimal digits.
        created, expires: seconds since 1970; 0: never.
    """

    id: str
    name: str
    sha256: str
    grants: tuple[Grant, ...]
    tenant: str = ""
    created: float = 0.0
    expires: float = 0.0

    @property
    def principal(self) -> Principal:
        return Principal(self.id, self.name, self.grants, self.tenant or self.name)


class AccessTable(msgspec.Struct, frozen=True, kw_only=True):
    """All that a gateway needs to know whom to let in.

    Attributes:
        keys: those that are valid; a revoked one is not there.
        revision: grows with each change.
    """

    keys: tuple[KeyRecord, ...] = ()
    revision: int = 0


def expand(names: Iterable[str]) -> frozenset[Permission]:
    """The permissions behind names of permissions and roles.

    Raises:
        ValueError: a name that is neither.
    """
    found: set[Permission] = set()
    for name in names:
        found |= ROLES.get(name) or {_permission(name)}
    return frozenset(found)


def _permission(name: str) -> Permission:
    try:
        return Permission(name)
    except ValueError:
        raise ValueError(f"{name!r} is neither a role ({', '.join(ROLES)}) nor a permission") from None
