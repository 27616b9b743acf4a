"""The last good routes on disk, so that a node starts and serves with control dead.

One SQLite file per node, written as routes come in. It also is the index from models to the addresses that they answer,
so that memory holds nothing about a model that was not called. What cannot be read (another version of this software,
a damaged file) is forgotten, never fatal: control tells it again.

Nor is it fatal that something cannot be written, such as when the disk is full: until it can, all that is on disk
counts as stale, and the place in the feed is kept in memory only, so that a restart begins where the disk is right.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from shoal.core.errors import ConfigError
from shoal.core.routes import Change, Route
from shoal.core.service import Service

logger = logging.getLogger(__name__)

_LAYOUT = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS routes (
    address TEXT NOT NULL, version TEXT NOT NULL, namespace TEXT NOT NULL, service TEXT NOT NULL,
    stale INTEGER NOT NULL, desired INTEGER NOT NULL, route BLOB NOT NULL, PRIMARY KEY (address, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reads (
    namespace TEXT NOT NULL, model TEXT NOT NULL, address TEXT NOT NULL, version TEXT NOT NULL,
    PRIMARY KEY (namespace, model, address, version)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS routes_by_service ON routes (namespace, service);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_ALL_STALE = "UPDATE routes SET stale = 1"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Route).decode

Key = tuple[str, str]
"""Address, and the version that was asked for ("" for the one that the route says)."""


class RouteState:
    """See the module.

    Args:
        path: the file; its folder must exist. None keeps all in memory, for tests.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        try:
            self._db = self._open()
        except sqlite3.DatabaseError as error:
            if path is None:
                raise
            logger.warning("the last good routes cannot be read, starting without them: %s", error)
            path.unlink(missing_ok=True)
            self._db = self._open()
        row = self._db.execute("SELECT value FROM facts WHERE name = 'position'").fetchone()
        self._position = int(row[0]) if row else -1
        self._behind = False

    def _open(self) -> sqlite3.Connection:
        try:
            db = sqlite3.connect(self._path or ":memory:", isolation_level=None, check_same_thread=False)
        except sqlite3.OperationalError as error:
            raise ConfigError(f"{self._path} cannot be opened: {error}", hint="is the node's home writable?") from error
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            if db.execute("PRAGMA user_version").fetchone()[0] not in (0, _LAYOUT):
                db.executescript("DROP TABLE IF EXISTS routes; DROP TABLE IF EXISTS reads; DROP TABLE IF EXISTS facts;")
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version={_LAYOUT}")
        except sqlite3.DatabaseError:
            db.close()
            raise
        return db

    @property
    def position(self) -> int:
        """Of the feed: all before it has been applied; -1 if nothing was ever."""
        return self._position

    @position.setter
    def position(self, number: int) -> None:
        self._position = number
        self._write("INSERT OR REPLACE INTO facts VALUES ('position', ?)", (str(number),))

    def put(self, key: Key, route: Route) -> None:
        """Remember a route as control has just told it."""
        service, desired = route.service, route.must_run and not key[1]
        row = (*key, service.namespace, service.name, 0, int(desired), _encode(route))
        for model in _models_of(service):
            self._write("INSERT OR IGNORE INTO reads VALUES (?, ?, ?, ?)", (*model, *key))
        self._write("INSERT OR REPLACE INTO routes VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def get(self, key: Key) -> tuple[Route, bool] | None:
        """The route, and whether something has changed since that control has not told yet."""
        row = self._db.execute("SELECT route, stale FROM routes WHERE address = ? AND version = ?", key).fetchone()
        route = _read(row[0]) if row else None
        return None if route is None else (route, self._behind or bool(row[1]))

    def forget(self, key: Key) -> None:
        """Control says that there is no such thing any more."""
        self._write("DELETE FROM routes WHERE address = ? AND version = ?", key)

    def desired(self) -> list[Route]:
        """What runs without being called."""
        rows = self._db.execute("SELECT route FROM routes WHERE desired = 1").fetchall()
        return [route for (data,) in rows if (route := _read(data)) is not None]

    def runs(self, key: Key) -> bool:
        """Whether it runs without being called, as far as is known."""
        row = self._db.execute("SELECT desired FROM routes WHERE address = ? AND version = ?", key).fetchone()
        return bool(row and row[0])

    def touch(self, changes: Iterable[Change]) -> list[Key]:
        """Mark what these changes may have made stale; the keys, each once."""
        touched: dict[Key, None] = {}
        for change in changes:
            where, values = _affected(change)
            rows = self._db.execute(f"SELECT address, version FROM routes WHERE {where}", values)  # noqa: S608 - our own text
            touched.update(dict.fromkeys((address, version) for address, version in rows))
            self._write(f"UPDATE routes SET stale = 1 WHERE {where}", values)  # noqa: S608 - our own text
        return list(touched)

    def touch_all(self) -> None:
        """Everything may have changed."""
        self._write(_ALL_STALE)

    def close(self) -> None:
        self._db.close()

    def _write(self, statement: str, values: tuple[object, ...] = ()) -> None:
        """Write, or do without; whatever was missed meanwhile is made good by the first write that succeeds."""
        try:
            if self._behind:
                self._db.execute(_ALL_STALE)
            self._db.execute(statement, values)
        except sqlite3.DatabaseError as error:
            if not self._behind:
                logger.warning("routes cannot be saved, control is asked for each until they can be: %s", error)
            self._behind = True
        else:
            self._behind = False


def _models_of(service: Service) -> set[tuple[str, str]]:
    """The models that a service's route depends on: the one that answers, and those whose files it fetches."""
    return {(service.model_namespace, service.model), *((each.namespace, each.model) for each in service.downloads)}


_OF_MODEL = "EXISTS (SELECT 1 FROM reads r WHERE r.address = routes.address AND r.version = routes.version AND "


def _affected(change: Change) -> tuple[str, tuple[str, ...]]:
    """The rows of a change: a service's own; those that read a model; of a namespace, both; of keys, none."""
    if change.kind == "access":
        return "0", ()
    if change.kind == "namespace":
        return f"namespace = ? OR {_OF_MODEL}r.namespace = ?)", (change.namespace, change.namespace)
    if change.kind == "service":
        return "namespace = ? AND service = ?", (change.namespace, change.name)
    keys = "(SELECT address, version FROM reads WHERE namespace = ? AND model = ?)"
    return f"(address, version) IN {keys}", (change.namespace, change.name)


def _read(data: bytes) -> Route | None:
    try:
        return _decode(data)
    except msgspec.DecodeError as error:
        logger.warning("a saved route cannot be read: %s", error)
        return None
