"""What the registry tells beyond the nouns of `core`: a service as it is kept, and an event."""

from __future__ import annotations

import msgspec

from shoal.core.service import Service


class ServiceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A service as it is kept.

    Attributes:
        revision: 1 when it was put first; grows by one with each change, deletion included.
        created, updated: Unix seconds.
        actor: who made this revision.
        deleted: whether it is a tombstone.
    """

    service: Service
    revision: int
    created: float = 0.0
    updated: float = 0.0
    actor: str = ""
    deleted: bool = False


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what; one for each change, kept with it in one transaction, and for each denied attempt.

    Attributes:
        number: grows from event to event, in the order in which they became true.
        at: Unix seconds.
        action: such as ``version.register`` or ``stage.move``.
        subject: name of the model, or address of the service; "" for the namespace itself.
        detail: what else there is to say, by action.
        outcome: ``done`` or ``denied``.
        request: id of the request that it was done by.
        hash: see `control.audit.chain`.
    """

    number: int
    at: float
    actor: str
    action: str
    namespace: str
    subject: str
    detail: dict[str, str | int | float | bool]
    outcome: str = "done"
    request: str = ""
    hash: str = ""
