"""What a database says when it fails, in our words.

Whatever it is, the transaction was rolled back and nothing of it can be seen, with one exception that nobody can rule
out: a connection that broke, or a disk that failed to flush, during COMMIT. The error then is `Unavailable`, and says
what to do: repeat with the same key.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from shoal.core.errors import Conflict, InternalError, ShoalError, StorageFull, Unavailable

_LOST = "try again; a change may have been made although its answer was lost: repeat it with the same key"
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
_SQLITE = {
    sqlite3.SQLITE_BUSY: ("the registry's database is busy", "try again; something else holds its file"),
    sqlite3.SQLITE_LOCKED: ("the registry's database is busy", "try again; something else holds its file"),
    sqlite3.SQLITE_READONLY: ("the registry's database cannot be written", "check the permissions of its folder"),
    sqlite3.SQLITE_IOERR: ("the registry's database cannot be read or written", f"check the disk; {_LOST}"),
    sqlite3.SQLITE_CANTOPEN: ("the registry's database cannot be opened", "check its folder; try again"),
    sqlite3.SQLITE_CORRUPT: ("the registry's database is damaged", "stop, and restore the last backup"),
    sqlite3.SQLITE_NOTADB: ("the registry's database is damaged", "stop, and restore the last backup"),
}
_FULL_HINT = "free some space where the registry's database is, then try again"
_LATER = 1.0


def translate(error: Exception) -> ShoalError:
    """The domain error for a failure of the database, as SQLAlchemy or its driver raises it."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, IntegrityError):
        return Conflict("the registry has changed meanwhile; nothing was done", hint="look again, then try again")
    if isinstance(cause, SQLAlchemyError):
        return _unavailable("the registry's database does not answer in time", "try again")
    if isinstance(cause, sqlite3.Error):
        return _from_sqlite(cause)
    return _from_server(getattr(cause, "sqlstate", None) or "")


def reason(error: BaseException) -> str:
    """What the driver itself says, on one line."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(cause).split())


def _from_sqlite(error: sqlite3.Error) -> ShoalError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if code in _FULL or code & 0xFF in _FULL:
        return StorageFull("the disk of the registry's database is full; nothing was done", hint=_FULL_HINT)
    if told := _SQLITE.get(code & 0xFF):
        return _unavailable(*told)
    return InternalError("the registry's database refused a statement")


def _from_server(state: str) -> ShoalError:
    if state == "53100":
        return StorageFull("the disk of the registry's database is full; nothing was done", hint=_FULL_HINT)
    if not state or state[:2] in ("08", "57", "58"):
        return _unavailable("the connection to the registry's database was lost", _LOST)
    if state[:2] in ("25", "40", "53", "55"):
        return _unavailable("the registry's database is busy", "try again; nothing was done")
    return InternalError("the registry's database refused a statement")


def _unavailable(sentence: str, hint: str) -> Unavailable:
    return Unavailable(sentence, hint=hint, retry_after=_LATER)
