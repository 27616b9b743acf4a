"""A disk without room: an error that says so, nothing half-visible, and all is well when there is room again."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.control.registry import open_registry
from shoal.core.errors import ConfigError, StorageFull
from shoal.core.registry import NewVersion
from support.registrations import new
from support.tools import needs


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB; only root can make one."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run([needs("mount"), "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run([needs("umount"), "--lazy", folder], check=True)


def _fat(name: str, count: int) -> list[NewVersion]:
    return [new(f"{name}-{at}", tags={"a": "x" * 1000}) for at in range(count)]


def test_a_full_disk_refuses_whole_changes_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    registry = open_registry(f"sqlite:///{small_disk}/registry.db")
    acknowledged = 0
    with contextlib.suppress(StorageFull):
        while True:
            registry.register_many(_fat(f"m{acknowledged}", 20))
            acknowledged += 1
    assert acknowledged
    for _ in range(3):
        with pytest.raises(StorageFull, match="nothing was done") as told:
            registry.register_many(_fat("again", 100))
        assert "free some space" in told.value.hint
    assert registry.count_models() == len(registry.events(10_000)) == registry.position() == 20 * acknowledged

    subprocess.run([needs("mount"), "-o", "remount,size=16m", small_disk], check=True)
    registry.register_many(_fat("again", 100))
    registry.close()
    reopened = open_registry(f"sqlite:///{small_disk}/registry.db")
    assert reopened.count_models() == 20 * acknowledged + 100
    reopened.close()


def test_a_disk_that_is_full_at_the_start_is_told(small_disk: Path) -> None:
    with contextlib.suppress(OSError):
        (small_disk / "filler").write_bytes(b"x" * 2**21)
    with pytest.raises((ConfigError, StorageFull)):
        open_registry(f"sqlite:///{small_disk}/registry.db")
    (small_disk / "filler").unlink()
    open_registry(f"sqlite:///{small_disk}/registry.db").close()
