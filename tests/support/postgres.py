"""A real PostgreSQL for tests: in a folder of its own, on a Unix socket, as a user who is not root; gone at the end.

from support.postgres import postgres  # noqa: F401     in a conftest.py: the fixture, one server for the session
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

_PLACES = "/usr/lib/postgresql"
_USER = "postgres"
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # nothing in these tests cuts the power
    "shared_buffers": "32MB",
    "max_connections": "60",
    "autovacuum": "off",
}
_PATIENCE = 30.0


class Postgres:
    """A running server."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self.folder = folder
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the data folder."""
        command = [
            "initdb",
            "--pgdata",
            "data",
            "--username",
            _USER,
            "--auth",
            "trust",
            "--no-sync",
            "--encoding",
            "UTF8",
        ]
        done = self._run(command).communicate(timeout=_PATIENCE)
        assert (self.folder / "data" / "PG_VERSION").exists(), done

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}")]
        self._process = self._run(["postgres", "-D", "data", "-k", str(self.folder), *settings])
        end = time.monotonic() + _PATIENCE
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < end, "PostgreSQL does not answer"
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT cuts off who is connected, SIGQUIT is a crash."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(_PATIENCE)
            self._process = None

    @contextmanager
    def schema(self) -> Iterator[str]:
        """The URL of an empty schema."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP SCHEMA {name} CASCADE")

    def url(self, schema: str = "public") -> str:
        """The URL of a schema."""
        options = quote(f"-csearch_path={schema}")
        return f"postgresql://{_USER}@/{_USER}?host={quote(str(self.folder))}&options={options}"

    def execute(self, statement: str) -> None:
        """Run a statement of the administrator's."""
        with self._connection() as connection:
            connection.execute(statement)

    def _connection(self) -> Any:
        import psycopg

        return psycopg.connect(host=str(self.folder), user=_USER, dbname=_USER, autocommit=True)

    def _answers(self) -> bool:
        import psycopg

        try:
            with self._connection():
                return True
        except psycopg.OperationalError:
            return False

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        as_user: dict[str, Any] = {"user": _USER, "group": _USER, "extra_groups": []} if os.geteuid() == 0 else {}
        with (self.folder / "log").open("ab") as log:
            program = str(self._programs / command[0])
            environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
            return subprocess.Popen(
                [program, *command[1:]], cwd=self.folder, stdout=log, stderr=log, env=environment, **as_user
            )


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server; skips the test where none is installed, fails in CI."""
    folder = Path(tempfile.mkdtemp(prefix="shoal-pg-"))  # short: the path of a Unix socket has 107 bytes
    server = Postgres(_programs(), folder)
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _USER, _USER)
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _programs() -> Path:
    found = sorted(Path(_PLACES).glob("*/bin/initdb"), key=lambda each: int(each.parts[-3]))
    if not found:
        told = "PostgreSQL is not installed (Debian: postgresql)"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    return found[-1].parent


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for the whole session; take a `schema()` of it."""
    with running_postgres() as server:
        yield server
