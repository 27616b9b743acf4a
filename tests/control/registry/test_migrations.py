from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import inspect, text

from shoal.control.registry import Registry, open_registry
from shoal.control.registry.engine import open_database
from shoal.control.registry.migrations import migrate
from shoal.control.registry.schema import metadata
from shoal.core.errors import ConfigError
from support.postgres import Postgres
from support.registrations import new


def test_an_empty_database_becomes_what_the_code_uses(registry: Registry) -> None:
    with registry._database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_opening_again_changes_nothing(url: str) -> None:
    first = open_registry(url)
    first.register(new())
    first.close()
    second = open_registry(url)
    assert second.position() == 1
    second.close()


def test_a_newer_schema_is_refused_and_left_as_it_is(url: str) -> None:
    open_registry(url).close()
    database = open_database(url)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    for _ in range(2):
        with pytest.raises(ConfigError, match="9999") as told:
            open_registry(url)
        assert "newer version of Shoal" in told.value.hint


def test_a_migration_that_breaks_half_way_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    create = Operations.create_table

    def broken(self: Operations, name: str, *columns: Any) -> object:
        made.append(name)
        if len(made) == 5:
            raise OSError("power cut")
        return create(self, name, *columns)

    with monkeypatch.context() as patched:
        patched.setattr(Operations, "create_table", broken)
        with pytest.raises(OSError, match="power cut"):
            open_registry(url)
    assert len(made) == 5
    database = open_database(url)
    with database.read() as connection:
        assert inspect(connection).get_table_names() == []
    database.close()
    open_registry(url).close()


def test_two_servers_that_start_at_once_migrate_once(postgres: Postgres) -> None:
    with postgres.schema() as url, ThreadPoolExecutor(4) as pool:
        for opened in pool.map(open_registry, [url] * 4):
            assert opened.position() == 0
            opened.close()


def test_migrating_is_repeatable_on_one_connection(sqlite_registry: Registry) -> None:
    with sqlite_registry._database.write() as connection:
        migrate(connection)
    assert sqlite_registry.position() == 0
