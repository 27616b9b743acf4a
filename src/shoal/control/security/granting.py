"""Whose keys somebody may make, see and revoke. Pure.

Nobody gives away more than they have; and keys of a namespace are the matter of those who manage it.
"""

from __future__ import annotations

from shoal.core.access import ANY, Grant, Permission, Principal, expand
from shoal.core.errors import InvalidInput, PermissionDenied
from shoal.core.keyring import KeyEntry, KeyRequest


def check(principal: Principal, asked: KeyRequest) -> None:
    """Let through who may make such a key.

    Raises:
        PermissionDenied: it would give away more than they have.
        InvalidInput: a grant names what is no permission and no role.
    """
    for grant in asked.grants:
        for permission in (Permission.MANAGE, *sorted(_expand(grant))):
            model = ANY if permission is Permission.MANAGE else grant.model
            if not principal.allows(permission, grant.namespace, model):
                raise PermissionDenied(
                    f"you may not give {permission} on {grant.namespace[:100]!a}: you do not have it there",
                    hint="ask an administrator",
                    field="grants",
                )


def tenant_for(principal: Principal, asked: KeyRequest) -> str:
    """Whose quota a new key counts to: who is no administrator shares their own."""
    return asked.tenant if principal.allows(Permission.ADMIN, ANY) else principal.tenant


def manages(principal: Principal, entry: KeyEntry) -> bool:
    """Whether a key is somebody's to see and to revoke."""
    return all(principal.allows(Permission.MANAGE, each.namespace) for each in entry.grants)


def _expand(grant: Grant) -> frozenset[Permission]:
    try:
        return expand(grant.permissions)
    except ValueError as error:
        hint = "see the guide on access for roles and permissions"
        raise InvalidInput(str(error), hint=hint, field="grants") from error
