from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shoal.serving.pool.confining import rooms
from shoal.serving.pool.confining.rooms import Rooms


def test_each_worker_has_a_folder_that_nobody_else_can_enter(tmp_path: Path) -> None:
    made = Rooms(tmp_path)
    one, other = made.make(None), made.make(None)
    assert one != other
    assert one.parent == other.parent
    assert one.stat().st_mode & 0o777 == 0o700
    assert one.parent.stat().st_mode & 0o777 == 0o711
    made.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_it_belongs_to_the_workers_user(tmp_path: Path) -> None:
    made = Rooms(tmp_path)
    assert made.make(60999).stat().st_uid == 60999
    made.close()


def test_what_a_killed_node_left_behind_goes_and_what_a_living_one_has_stays(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys\nfrom shoal.serving.pool.confining.rooms import Rooms\n"
        "room = Rooms(pathlib.Path(sys.argv[1])).make(None)\n(room / 'file').touch()\nos.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    living = Rooms(tmp_path)
    living.make(None)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(rooms.PREFIX)
    rooms.remove_stale(tmp_path)
    assert left.exists()
    living.close()


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / f"{rooms.PREFIX}being-made").mkdir()
    (tmp_path / f"{rooms.PREFIX}file").touch()
    (tmp_path / f"{rooms.PREFIX}link").symlink_to("/")
    rooms.remove_stale(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    Rooms(tmp_path).close()
