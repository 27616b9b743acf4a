"""What all parts of the registry stand on: a reading, and a writing that leaves its event and its entry in the feed.

A `Writing` collects what its transaction has changed. At the end, still inside the transaction, the events are chained
to those before and written, and the feed grows: a change, its event and its number become visible together or not at
all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, Self

from sqlalchemy import Connection

from shoal.control.caller import CALLER
from shoal.control.registry.auditing import Noted, append
from shoal.control.registry.documents import check_text, dump
from shoal.control.registry.engine import Database
from shoal.control.registry.growth import Entry, grow
from shoal.core.quotas import UNLIMITED, Limits

Detail = dict[str, str | int | float | bool]
Kind = Literal["service", "model", "namespace", "access"]
LimitsOf = Callable[[str], Limits]
"""Tells how much a namespace may hold."""


def unlimited(namespace: str) -> Limits:
    """The limits of all where nobody has said any."""
    return UNLIMITED


class Writing:
    """One transaction that changes something.

    Attributes:
        now: Unix seconds, the same for all that it writes.
        actor: who does it.
        limits: how much each namespace may hold.
    """

    def __init__(self, connection: Connection, now: float, actor: str, limits: LimitsOf = unlimited) -> None:
        self.connection = connection
        self.now = now
        self.limits = limits
        self.actor = check_text(actor, "actor")
        self._events: list[Noted] = []
        self._entries: dict[Entry, None] = {}

    def note(
        self,
        action: str,
        namespace: str,
        subject: str = "",
        detail: Detail | None = None,
        outcome: Literal["done", "denied"] = "done",
        *,
        actor: str | None = None,
    ) -> None:
        """Leave an event; `actor` is who it was, if not whoever does all this."""
        told = detail or {}
        self._events.append(Noted(action, namespace, subject, told, dump(told, Detail, "detail"), outcome, actor))

    def changed(self, kind: Kind, namespace: str, name: str = "", environment: str = "") -> None:
        """Tell the feed; the same thing twice in one transaction is told once."""
        self._entries[kind, namespace, name, environment] = None

    def finish(self) -> None:
        """Write what was noted."""
        if self._events:
            caller = CALLER.get()
            append(self.connection, self._events, self.now, self.actor, caller.request if caller else "")
        if self._entries:
            grow(self.connection, list(self._entries))


class Part:
    """A group of the registry's operations.

    Args:
        database: where it is kept.
        clock: Unix seconds.
        held: the transaction in which all is read; None: each operation has its own.
        limits: how much each namespace may hold.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        held: Connection | None = None,
        limits: LimitsOf = unlimited,
    ) -> None:
        self._database = database
        self._clock = clock
        self._held = held
        self._limits = limits

    @contextmanager
    def snapshot(self) -> Iterator[Self]:
        """The registry as it is now, whatever changes meanwhile, in one transaction; for reading, in one thread."""
        with self._reading() as connection:
            yield type(self)(self._database, self._clock, connection, self._limits)

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._database.read() if self._held is None else nullcontext(self._held)

    @contextmanager
    def _writing(self, actor: str) -> Iterator[Writing]:
        with self._database.write() as connection:
            writing = Writing(connection, self._clock(), actor, self._limits)
            yield writing
            writing.finish()
