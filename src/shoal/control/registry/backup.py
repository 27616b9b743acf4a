"""A copy of a SQLite registry while it works: one state of it, complete, whoever writes meanwhile.

The copy is made beside its place, flushed, and renamed: a path that is there holds a whole backup. Its feed jumps ahead
(see `growth`), so that nodes that followed the original start again when they meet the restored one. Restoring is
putting the file where the database was, with control stopped.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from shoal.control.registry.faults import translate
from shoal.control.registry.growth import jump
from shoal.control.registry.part import Part
from shoal.core.errors import Unavailable, Unsupported


class BackupPart(Part):
    """Copies."""

    def backup(self, path: str | Path) -> None:
        """Write a copy, replacing what is at `path`.

        Raises:
            Unsupported: it is not SQLite.
            StorageFull, Unavailable: it cannot be written; what was at `path` is as it was.
        """
        if not self._database.is_file:
            hint = "use pg_dump; after pg_restore, call renumber_feed"
            raise Unsupported("a PostgreSQL registry is backed up by PostgreSQL's own tools", hint=hint)
        staged = Path(f"{path}.part")
        try:
            self._copy(staged)
            _finish(staged)
            os.replace(staged, path)
            _flush(Path(path).parent)
        except sqlite3.Error as error:
            raise translate(error) from error
        except OSError as error:
            raise Unavailable(f"the backup cannot be written: {error.strerror}", hint="check its folder") from error
        finally:
            for each in (staged, Path(f"{staged}-journal")):
                each.unlink(missing_ok=True)

    def _copy(self, staged: Path) -> None:
        staged.unlink(missing_ok=True)
        with self._reading() as connection, closing(sqlite3.connect(staged)) as target:
            source = connection.connection.driver_connection
            assert isinstance(source, sqlite3.Connection)
            source.backup(target)


def _finish(staged: Path) -> None:
    engine = create_engine(f"sqlite:///{staged}", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
    with engine.begin() as connection:
        jump(connection)


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
