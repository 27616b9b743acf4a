from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, TimeoutError

from shoal.control.registry.faults import reason, translate
from shoal.core.errors import Conflict, InternalError, ShoalError, StorageFull, Unavailable


class FromServer(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("line one\nline two")
        self.sqlstate = sqlstate


def _sqlite(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("told")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (_sqlite(sqlite3.SQLITE_FULL), StorageFull),
        (_sqlite(sqlite3.SQLITE_IOERR_SHMSIZE), StorageFull),
        (_sqlite(sqlite3.SQLITE_IOERR_FSYNC), Unavailable),
        (_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT), Unavailable),
        (_sqlite(sqlite3.SQLITE_CORRUPT), Unavailable),
        (_sqlite(sqlite3.SQLITE_READONLY), Unavailable),
        (_sqlite(sqlite3.SQLITE_ERROR), InternalError),
        (FromServer("53100"), StorageFull),
        (FromServer("57P01"), Unavailable),
        (FromServer("08006"), Unavailable),
        (FromServer("55P03"), Unavailable),
        (FromServer("25006"), Unavailable),
        (FromServer(None), Unavailable),
        (FromServer("42601"), InternalError),
    ],
)
def test_each_failure_has_its_word(cause: Exception, kind: type[ShoalError]) -> None:
    for error in (cause, DBAPIError("SELECT", {}, cause)):
        assert type(translate(error)) is kind
        assert translate(error).hint or kind is InternalError


def test_what_has_no_driver_behind_it() -> None:
    assert isinstance(translate(TimeoutError()), Unavailable)
    assert isinstance(translate(IntegrityError("INSERT", {}, _sqlite(sqlite3.SQLITE_CONSTRAINT))), Conflict)


def test_the_drivers_reason_is_one_line() -> None:
    assert reason(DBAPIError("SELECT", {}, FromServer("1"))) == "line one line two"
