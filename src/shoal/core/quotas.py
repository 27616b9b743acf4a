"""What a namespace may hold, what it holds, and whether more fits. Pure."""

from __future__ import annotations

import msgspec

from shoal.core.errors import QuotaExceeded, StorageQuotaExceeded


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a namespace, or what is to come into it.

    Attributes:
        models, versions, services: those that are not deleted.
        bytes: of all files of its versions; deleted ones count until they are forgotten for good, as their files stay
            until then, and files that versions share count for each.
    """

    models: int = 0
    versions: int = 0
    services: int = 0
    bytes: int = 0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of it there may be at the same time; None: any amount."""

    models: int | None = None
    versions: int | None = None
    services: int | None = None
    bytes: int | None = None


KINDS = Holding.__struct_fields__
UNLIMITED = Limits()


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a namespace holds, and may hold."""

    namespace: str
    used: Holding
    limits: Limits = UNLIMITED


def limited(limits: Limits, added: Holding) -> tuple[str, ...]:
    """The kinds that grow and have a limit: what must be counted."""
    return tuple(kind for kind in KINDS if getattr(added, kind) > 0 and getattr(limits, kind) is not None)


def check(namespace: str, limits: Limits, used: Holding, added: Holding) -> None:
    """Let through what fits. What does not grow is not looked at, so that a lower limit takes nothing away.

    Args:
        used: what is there without `added`.

    Raises:
        QuotaExceeded: there would be too many.
        StorageQuotaExceeded: too many bytes.
    """
    for kind in limited(limits, added):
        limit, now, more = getattr(limits, kind), getattr(used, kind), getattr(added, kind)
        if now + more <= limit:
            continue
        told = f"the namespace {namespace} may hold {limit} {kind}, and holds {now}: {more} more do not fit"
        if kind == "bytes":
            hint = (
                "delete versions that nobody uses, or ask the operator of control for more (`quotas`); deleted ones "
                "count until `shoal gc` forgets them"
            )
            raise StorageQuotaExceeded(told, hint=hint, field="manifest")
        hint = f"delete {kind} that nobody uses, or ask the operator of control for more (`quotas`)"
        raise QuotaExceeded(told, hint=hint, field=kind)
