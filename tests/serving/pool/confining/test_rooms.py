from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.serving.pool.confining import rooms
from shoal.serving.pool.confining.rooms import Rooms


def test_each_worker_has_a_folder_that_nobody_else_can_enter(tmp_path: Path) -> None:
    made = Rooms(tmp_path)
    one, other = made.make(None), made.make(None)
    assert one != other
    assert one.parent == other.parent
    assert one.parent.name.startswith(rooms.PREFIX)
    assert one.stat().st_mode & 0o777 == 0o700
    assert one.parent.stat().st_mode & 0o777 == 0o711
    made.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_it_belongs_to_the_workers_user(tmp_path: Path) -> None:
    made = Rooms(tmp_path)
    assert made.make(60999).stat().st_uid == 60999
    made.close()


def test_nothing_is_made_until_a_worker_needs_it(tmp_path: Path) -> None:
    Rooms(tmp_path).close()
    assert list(tmp_path.iterdir()) == []
