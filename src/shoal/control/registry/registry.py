"""The registry: namespaces, models, versions, stages, services, and the feed of what has changed.

Everything is synchronous, may be called from any thread, and raises `ShoalError`s only. A method that changes
something is one transaction: when it has returned, it is on the disk; when it raised, nothing of it is there. SQLite or
PostgreSQL is a matter of the URL.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from shoal.control.registry.access import AccessPart
from shoal.control.registry.backup import BackupPart
from shoal.control.registry.deletion import DeletionPart
from shoal.control.registry.engine import open_database
from shoal.control.registry.events import EventsPart
from shoal.control.registry.feed import FeedPart
from shoal.control.registry.holders import HoldersPart
from shoal.control.registry.migrations import migrate
from shoal.control.registry.models import ModelsPart
from shoal.control.registry.namespaces import NamespacesPart
from shoal.control.registry.part import LimitsOf, unlimited
from shoal.control.registry.quotas import QuotasPart
from shoal.control.registry.registering import RegisteringPart
from shoal.control.registry.services import ServicesPart
from shoal.control.registry.stages import StagesPart
from shoal.control.registry.versions import VersionsPart


class Registry(
    NamespacesPart,
    ModelsPart,
    VersionsPart,
    RegisteringPart,
    StagesPart,
    DeletionPart,
    ServicesPart,
    FeedPart,
    EventsPart,
    AccessPart,
    HoldersPart,
    QuotasPart,
    BackupPart,
):
    """An open registry; each part is described where it is made."""

    def close(self) -> None:
        """Close it; what is under way fails."""
        self._database.close()


def open_registry(url: str, *, clock: Callable[[], float] = time.time, limits: LimitsOf = unlimited) -> Registry:
    """Open the registry that a URL names, and bring its schema up to date.

    Args:
        url: ``sqlite:////path/to/registry.db`` or ``postgresql://user:password@host/database``.
        clock: Unix seconds, for the times that people read; nothing but `purge` decides by it.
        limits: how much each namespace may hold.

    Raises:
        ConfigError: the URL names nothing that can be used, another process has it, or its schema is newer.
    """
    database = open_database(url)
    try:
        with database.write() as connection:
            migrate(connection)
    except BaseException:
        database.close()
        raise
    return Registry(database, clock, limits=limits)
