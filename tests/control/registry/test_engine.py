from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from shoal.control.registry import Registry, open_registry
from shoal.control.registry.engine import parse_url
from shoal.core.errors import ConfigError, StorageFull, Unavailable
from support.postgres import running_postgres
from support.registrations import new


@pytest.mark.parametrize(
    "url",
    ["", "registry.db", "sqlite://", "sqlite:///:memory:", "sqlite:///file:a?mode=memory", "mysql://a/b", "a://b:c"],
)
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse_url(url)
    assert "sqlite:////path" in told.value.hint


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:////a/b.db", "sqlite"),
        ("postgresql://a/b", "postgresql+psycopg"),
        ("postgres://a/b", "postgresql+psycopg"),
    ],
)
def test_usual_urls_are_understood(url: str, driver: str) -> None:
    assert parse_url(url).drivername == driver


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(ConfigError) as told:
        open_registry("postgresql://ann:secret@127.0.0.1:1/shoal?password=secret&connect_timeout=1")
    said = f"{told.value} {told.value.hint}"
    assert "127.0.0.1:1/shoal" in said
    assert "secret" not in said


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    path.write_bytes(b"something else entirely, and quite a lot of it" * 100)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"registry\.db cannot be used") as told:
        open_registry(f"sqlite:///{path}")
    assert "not a database" in told.value.hint
    assert path.read_bytes() == before


def test_writes_are_on_the_disk_and_references_hold(sqlite_registry: Registry) -> None:
    with sqlite_registry._database.read() as connection:
        told = {name: connection.execute(text(f"PRAGMA {name}")).scalar() for name in _PRAGMAS}
    assert told == _PRAGMAS


_PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_a_reader_sees_one_state_while_others_write(registry: Registry) -> None:
    registry.register(new("iris"))
    count = text("SELECT count(*) FROM models")
    with registry._database.read() as connection:
        assert connection.execute(count).scalar() == 1
        registry.register(new("wine"))
        assert connection.execute(count).scalar() == 1
    assert registry.count_models() == 2


_FORKS = """
import os, sys
from shoal.control.registry import open_registry
from shoal.core.errors import InternalError
registry = open_registry(sys.argv[1])
child = os.fork()
if not child:
    try:
        registry.count_models()
    except InternalError:
        os._exit(7)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), registry.count_models())
"""


@pytest.mark.process
def test_a_forked_process_cannot_use_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORKS, f"sqlite:///{tmp_path}/registry.db"], capture_output=True, check=True
    )
    assert done.stdout == b"7 0\n", done.stderr


def test_a_database_without_room_says_so_and_goes_on_when_there_is_some(sqlite_registry: Registry) -> None:
    engine = sqlite_registry._database.engine
    sqlite_registry.register(new("iris"))
    engine.dispose()
    with engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(StorageFull, match="nothing was done") as told:
        sqlite_registry.register_many([new(f"m{at}") for at in range(500)])
    assert "free some space" in told.value.hint
    assert sqlite_registry.count_models() == 1
    assert sqlite_registry.position() == 1
    engine.dispose()
    assert len(sqlite_registry.register_many([new(f"m{at}") for at in range(500)])) == 500


@pytest.mark.process
def test_a_server_that_crashes_is_an_outage_and_nothing_acknowledged_is_lost() -> None:
    with running_postgres() as server:
        registry = open_registry(server.url())
        registry.register(new("iris"))
        server.stop(signal.SIGQUIT)
        for _ in range(2):
            with pytest.raises(Unavailable) as told:
                registry.register(new("wine"))
            assert told.value.retry_after
        server.start()
        assert registry.version("default", "iris", "1").version == 1
        assert registry.register(new("wine")).version == 1
        registry.close()


_HOLDER = "import sys; from shoal.control.registry import open_registry; r = open_registry(sys.argv[1]); print(1, flush=True); input()"


@pytest.mark.process
def test_a_second_process_is_refused_until_the_first_has_gone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/registry.db"
    command = [sys.executable, "-c", _HOLDER, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"1\n"
        with pytest.raises(ConfigError, match=f"process {holder.pid} uses the registry"):
            open_registry(url)
        holder.kill()
    open_registry(url).close()


def test_it_can_be_opened_again_once_closed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/down/registry.db"
    first = open_registry(url)
    first.register(new())
    with pytest.raises(ConfigError, match=str(os.getpid())):
        open_registry(url)
    first.close()
    first.close()
    second = open_registry(url)
    assert second.version("default", "iris", "1").version == 1
    second.close()
