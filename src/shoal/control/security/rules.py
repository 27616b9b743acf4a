"""What it takes to be let through, for every route of the control port: the one table, and how it is read. Pure.

A route without an entry lets nobody through. Whoever may not read what a route is about is told that it is not there;
whoever may read it and not do this is told so. Routes whose body names further things look at those themselves, by the
same words (`Desk.require`): they are marked with `body`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from shoal.core.access import ANY, Permission, Principal
from shoal.core.service import parse_address


class Where(Enum):
    """What a permission must be held on."""

    OPEN = "nothing: anybody may"
    SOMEWHERE = "anything: what is shown or taken is then only what one may"
    EVERYWHERE = "everything"
    NAMED = "the model or service that the path names"
    NAMESPACE = "the namespace that the path names"
    ADDRESS = "the address that the path names"
    ASKED = "the service that the query names"


class Outcome(Enum):
    """Of a look at the table."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route takes.

    Attributes:
        where: what the permission must be held on.
        any_of: permissions, one of which is enough; those of nodes are held everywhere or not at all.
        body: whether the body names further things, each of which is looked at.
    """

    where: Where
    any_of: tuple[Permission, ...] = ()
    body: bool = False


Target = tuple[str, str]
"""Namespace and model."""

P = Permission
W = Where
_MODEL = "/v1/models/{namespace}/{name}"
_STAGE = f"{_MODEL}/stages/{{stage}}"
_SERVICE = "/v1/services/{namespace}/{name}/{environment}"

RULES: dict[str, Rule] = {
    "GET /health/live": Rule(W.OPEN),
    "GET /health/ready": Rule(W.OPEN),
    # models, versions, stages
    "GET /v1/models": Rule(W.SOMEWHERE, (P.READ,)),
    f"GET {_MODEL}": Rule(W.NAMED, (P.READ,)),
    f"PATCH {_MODEL}": Rule(W.NAMED, (P.PUSH,)),
    f"DELETE {_MODEL}": Rule(W.NAMED, (P.DELETE,)),
    f"GET {_MODEL}/versions": Rule(W.NAMED, (P.READ,)),
    f"GET {_MODEL}/versions/{{ref}}": Rule(W.NAMED, (P.READ,)),
    f"POST {_MODEL}/versions": Rule(W.NAMED, (P.PUSH,)),
    f"PATCH {_MODEL}/versions/{{number}}": Rule(W.NAMED, (P.PUSH,)),
    f"DELETE {_MODEL}/versions/{{number}}": Rule(W.NAMED, (P.DELETE,)),
    "POST /v1/register-many": Rule(W.SOMEWHERE, (P.PUSH,), body=True),
    f"PUT {_STAGE}": Rule(W.NAMED, (P.PROMOTE,)),
    f"DELETE {_STAGE}": Rule(W.NAMED, (P.PROMOTE,)),
    f"POST {_STAGE}/rollback": Rule(W.NAMED, (P.PROMOTE,)),
    f"GET {_STAGE}/history": Rule(W.NAMED, (P.READ,)),
    f"GET {_MODEL}/stages/history": Rule(W.NAMED, (P.READ,)),
    # services
    "GET /v1/services": Rule(W.SOMEWHERE, (P.READ,)),
    f"GET {_SERVICE}": Rule(W.NAMED, (P.READ,)),
    f"PUT {_SERVICE}": Rule(W.NAMED, (P.DEPLOY,), body=True),
    f"DELETE {_SERVICE}": Rule(W.NAMED, (P.DELETE,)),
    f"GET {_SERVICE}/history": Rule(W.NAMED, (P.READ,)),
    f"POST {_SERVICE}/scale": Rule(W.NAMED, (P.OPERATE,)),
    "POST /v1/services/{namespace}/{name}/promote": Rule(W.NAMED, (P.PROMOTE,)),
    "GET /v1/diff": Rule(W.ASKED, (P.READ,)),
    "POST /v1/diff": Rule(W.SOMEWHERE, (P.READ,), body=True),
    # files: of a version that one may read, or of one that is to be
    "PUT /v1/blobs/{sha256}": Rule(W.SOMEWHERE, (P.PUSH,)),
    "GET /v1/blobs/{sha256}": Rule(W.SOMEWHERE, (P.READ, P.NODE), body=True),
    "HEAD /v1/blobs/{sha256}": Rule(W.SOMEWHERE, (P.READ, P.NODE), body=True),
    "POST /v1/blobs/missing": Rule(W.SOMEWHERE, (P.PUSH,), body=True),
    "GET /v1/manifests/{digest}": Rule(W.SOMEWHERE, (P.READ, P.NODE), body=True),
    "POST /v1/archives": Rule(W.SOMEWHERE, (P.PUSH,)),
    # namespaces
    "GET /v1/namespaces": Rule(W.SOMEWHERE, (P.READ,)),
    "GET /v1/namespaces/{namespace}": Rule(W.NAMESPACE, (P.READ,)),
    "GET /v1/namespaces/{namespace}/usage": Rule(W.NAMESPACE, (P.PUSH, P.MANAGE)),
    "PUT /v1/namespaces/{namespace}": Rule(W.NAMESPACE, (P.MANAGE,)),
    # nodes
    "GET /v1/routes/{address}": Rule(W.ADDRESS, (P.READ, P.NODE)),
    "GET /v1/desired": Rule(W.EVERYWHERE, (P.NODE,)),
    "GET /v1/feed": Rule(W.EVERYWHERE, (P.NODE,)),
    "PUT /v1/nodes/{node}": Rule(W.EVERYWHERE, (P.NODE,)),
    "POST /v1/nodes/{node}/denied": Rule(W.EVERYWHERE, (P.NODE,)),
    "GET /v1/nodes": Rule(W.EVERYWHERE, (P.ADMIN,)),
    "GET /v1/access": Rule(W.EVERYWHERE, (P.NODE,)),
    # keys and upkeep
    "GET /v1/keys": Rule(W.SOMEWHERE, (P.MANAGE,)),
    "POST /v1/keys": Rule(W.SOMEWHERE, (P.MANAGE,), body=True),
    "DELETE /v1/keys/{id}": Rule(W.SOMEWHERE, (P.MANAGE,), body=True),
    "GET /v1/events": Rule(W.SOMEWHERE, (P.MANAGE,)),
    "GET /v1/audit": Rule(W.EVERYWHERE, (P.ADMIN,)),
    "POST /v1/gc": Rule(W.EVERYWHERE, (P.ADMIN,)),
    # pages
    "GET /docs": Rule(W.SOMEWHERE, (P.READ,)),
    "GET /docs/static/{file}": Rule(W.SOMEWHERE, (P.READ,)),
    "GET /openapi.json": Rule(W.SOMEWHERE, (P.READ,)),
    "HEAD /openapi.json": Rule(W.SOMEWHERE, (P.READ,)),
}
"""By method and path. Two paths of health are all that is open."""


def target_of(rule: Rule, path: Mapping[str, str], query: Mapping[str, str]) -> Target | None:
    """The namespace and model that a request is about; None if it is about none in particular."""
    match rule.where:
        case Where.NAMED:
            return path["namespace"], path["name"]
        case Where.NAMESPACE:
            return path["namespace"], ANY
        case Where.ADDRESS:
            name, _, namespace = parse_address(path["address"])
            return namespace, name
        case Where.ASKED:
            return query.get("namespace", "default"), query.get("name", "")
    return None


def judge(rule: Rule, principal: Principal, target: Target | None) -> Outcome:
    """Whether somebody may use a route on this target."""
    if rule.where is Where.OPEN or any(_holds(rule.where, each, principal, target) for each in rule.any_of):
        return Outcome.ALLOWED
    return Outcome.FORBIDDEN if target is None or sees(principal, target) else Outcome.HIDDEN


def sees(principal: Principal, target: Target) -> bool:
    """Whether somebody may know that it is there; of a namespace, that is who may read anything in it."""
    namespace, model = target
    if model != ANY:
        return principal.allows(P.READ, namespace, model)
    return any(place in (ANY, namespace) for place, _ in principal.reach(P.READ))


def _holds(where: Where, permission: Permission, principal: Principal, target: Target | None) -> bool:
    if where is Where.SOMEWHERE:
        return bool(principal.reach(permission))
    if target is None or permission is P.NODE:
        return principal.allows(permission, ANY)
    if permission is P.READ:
        return sees(principal, target)
    return principal.allows(permission, *target)
