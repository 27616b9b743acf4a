"""Brings a database to the schema of today, in one transaction: it is the old schema or the new one, never between.

Each step is a file in `versions/`, run by Alembic inside the transaction that the caller has opened. A database that a
newer Shoal has migrated is refused: it is not known what may be written into it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.runtime.migration import RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from shoal.core.errors import ConfigError

_ONE_AT_A_TIME = threading.Lock()
"""Alembic's `op`, which the steps use, is one for the whole process."""


def migrate(connection: Connection) -> None:
    """Bring the database to the newest schema; does nothing if it is there.

    Raises:
        ConfigError: its schema is newer than this program.
    """
    scripts = ScriptDirectory(str(Path(__file__).parent))

    def steps(heads: tuple[str, ...], _: MigrationContext) -> Iterable[RevisionStep]:
        return scripts._upgrade_revs("head", heads)  # type: ignore[arg-type]

    context = MigrationContext.configure(connection, opts={"fn": steps, "transactional_ddl": True})
    known = {script.revision for script in scripts.walk_revisions()}
    for head in context.get_current_heads():
        if head not in known:
            raise _newer(head)
    with _ONE_AT_A_TIME, Operations.context(context):
        context.run_migrations()


def _newer(head: str) -> ConfigError:
    hint = "start the newer version of Shoal, or restore a backup that was made before the upgrade"
    return ConfigError(f"the registry's database has the schema {head[:80]!a} of a newer Shoal", hint=hint)
