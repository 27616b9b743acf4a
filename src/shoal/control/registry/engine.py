"""The database: what a URL means, how its connections are set up, and the two kinds of transaction.

`Database.read` sees one state, that of its first statement, for as long as it lasts. `Database.write` is alone: one
writer at a time, on SQLite by its write lock, on PostgreSQL by an advisory lock, each taken *before* anything is read.
So whatever a writer has read is still true when it writes, numbers are handed out in the order of commits, and the code
above is the same for both. What is committed is on the disk (`synchronous=FULL`, PostgreSQL's own default).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from shoal.control.registry.faults import reason, translate
from shoal.control.registry.place import Lock
from shoal.core.errors import ConfigError, InternalError, ShoalError, Unavailable

_SQLITE = "sqlite"
_WRITER = 0x5_40A1
"""Number of PostgreSQL's advisory lock."""
_WAIT_SECONDS = 30
_CONNECTIONS = 8
_URL_HINT = "write sqlite:////path/to/registry.db or postgresql://user:password@host/database"
_SESSION = (
    f"SET lock_timeout = '{_WAIT_SECONDS}s'",
    "SET statement_timeout = '60s'",
    "SET idle_in_transaction_session_timeout = '300s'",
)


class Database:
    """An open database; it belongs to the process that opened it."""

    def __init__(self, engine: Engine, lock: Lock | None) -> None:
        self.engine = engine
        self._lock = lock
        self._writing = threading.Lock()
        self._process = os.getpid()
        self._failures = (SQLAlchemyError, engine.dialect.loaded_dbapi.Error)

    @property
    def is_file(self) -> bool:
        """Whether it is SQLite."""
        return self.engine.dialect.name == _SQLITE

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state."""
        options = {} if self.is_file else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._transaction(options) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is the only one to write: committed at the end, rolled back on any error."""
        if not self._writing.acquire(timeout=_WAIT_SECONDS):
            raise Unavailable("the registry is busy with other changes", hint="try again", retry_after=1.0)
        try:
            with self._transaction({"shoal_writes": True}) as connection:
                yield connection
        finally:
            self._writing.release()

    @contextmanager
    def _transaction(self, options: dict[str, Any]) -> Iterator[Connection]:
        if os.getpid() != self._process:
            raise InternalError("a registry cannot be used by a forked process", hint="open it in that process")
        try:
            with self.engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except self._failures as error:
            raise translate(error) from error

    def close(self) -> None:
        """Close all connections and let others have the file."""
        self.engine.dispose()
        if self._lock:
            self._lock.release()


def open_database(url: str) -> Database:
    """Open what a URL names.

    Raises:
        ConfigError: it names nothing that can be used; the sentence has the URL without its password.
    """
    parsed = parse_url(url)
    if parsed.drivername == _SQLITE:
        return _open_file(parsed)
    database = Database(_server(parsed), None)
    _probe(database, parsed)
    return database


def parse_url(url: str) -> URL:
    """A URL of a kind that is supported.

    Raises:
        ConfigError: it is none.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigError("the registry's URL cannot be read", hint=_URL_HINT, field="registry") from error
    if parsed.drivername in (_SQLITE, "sqlite+pysqlite"):
        if not parsed.database or parsed.database.startswith((":memory:", "file:")):
            raise ConfigError("the registry's URL names no file", hint=_URL_HINT, field="registry")
        return parsed.set(drivername=_SQLITE, query={})
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(f"{parsed.drivername} is no database for the registry", hint=_URL_HINT, field="registry")


def _open_file(url: URL) -> Database:
    lock = Lock.take(Path(url.database or ""))
    try:
        database = Database(_file(url), lock)
        _probe(database, url)
    except BaseException:
        lock.release()
        raise
    return database


def _probe(database: Database, url: URL) -> None:
    shown = url.set(query={}).render_as_string(hide_password=True)
    try:
        with database.read():
            return
    except ShoalError as error:
        database.close()
        hint = f"check that it is there and may be used: {reason(error.__cause__ or error)}"
        raise ConfigError(f"the registry's database {shown} cannot be used", hint=hint, field="registry") from error


def _file(url: URL) -> Engine:
    engine = create_engine(url, pool_size=_CONNECTIONS, max_overflow=0, connect_args={"timeout": _WAIT_SECONDS})

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below, also around DDL
        for pragma in ("synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):  # it does not raise
            raise Unavailable("the registry's database cannot have a write-ahead log", hint="check its disk")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("shoal_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _server(url: URL) -> Engine:
    try:
        engine = create_engine(
            url, pool_size=_CONNECTIONS, max_overflow=0, pool_pre_ping=True, connect_args={"connect_timeout": 5}
        )
    except ModuleNotFoundError as error:
        hint = "install the extra: pip install 'shoal[postgres]'"
        raise ConfigError("PostgreSQL needs the package psycopg", hint=hint, field="registry") from error

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        connection.autocommit = True
        for setting in _SESSION:
            connection.execute(setting)
        connection.autocommit = False

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("shoal_writes"):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER})")

    return engine
