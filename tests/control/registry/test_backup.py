from __future__ import annotations

import threading
from pathlib import Path

import pytest

from shoal.control.registry import Registry, open_registry
from shoal.core.errors import Unavailable, Unsupported
from support.postgres import Postgres
from support.registrations import new


def test_a_backup_made_while_others_write_is_a_prefix_of_what_was_acknowledged(
    sqlite_registry: Registry, tmp_path: Path
) -> None:
    acknowledged: list[int] = []
    ready, enough = threading.Event(), threading.Event()

    def write() -> None:
        while not enough.is_set():
            acknowledged.append(sqlite_registry.register(new(content=f"c{len(acknowledged)}")).version)
            if len(acknowledged) > 20:
                ready.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert ready.wait(30)
    before = len(acknowledged)
    sqlite_registry.backup(tmp_path / "copy.db")
    after = len(acknowledged)
    enough.set()
    writer.join()

    restored = open_registry(f"sqlite:///{tmp_path}/copy.db")
    kept = [each.version for each in restored.versions("default", "iris", limit=100_000)]
    assert kept == list(range(len(kept), 0, -1))
    assert before <= len(kept) <= after + 1
    assert len(restored.events(100_000)) == len(kept)
    restored.close()


def test_nodes_that_followed_the_original_start_again(sqlite_registry: Registry, tmp_path: Path) -> None:
    for at in range(5):
        sqlite_registry.register(new(content=f"c{at}"))
    sqlite_registry.backup(tmp_path / "copy.db")
    sqlite_registry.register(new(content="lost"))
    followed = sqlite_registry.position()
    restored = open_registry(f"sqlite:///{tmp_path}/copy.db")
    for at in range(5):
        restored.register(new("wine", f"w{at}"))
    assert restored.changes(followed).reset
    restored.close()


def test_a_backup_replaces_the_one_before_and_leaves_nothing_beside_it(
    sqlite_registry: Registry, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for _ in range(2):
        sqlite_registry.backup(folder / "copy.db")
    assert [each.name for each in folder.iterdir()] == ["copy.db"]


def test_a_backup_that_cannot_be_written_says_so(sqlite_registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        sqlite_registry.backup(tmp_path / "nowhere" / "copy.db")
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(Unavailable, match="backup cannot be written"):
        sqlite_registry.backup(tmp_path / "folder")
    assert not list(tmp_path.glob("*.part*"))


def test_postgres_has_tools_of_its_own(postgres: Postgres) -> None:
    with postgres.schema() as url:
        registry = open_registry(url)
        with pytest.raises(Unsupported, match="own tools"):
            registry.backup("copy.db")
        registry.close()
