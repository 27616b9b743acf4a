"""Folders that a killed process leaves, and a living one keeps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shoal.core.scratch import LOCK, Scratch, remove_stale

KILLED = """\
import os, pathlib, sys
from shoal.core.scratch import Scratch
made = Scratch("kind-", root=pathlib.Path(sys.argv[1]))
(made.path / "file").touch()
os.kill(os.getpid(), 9)
"""


def test_it_is_private_or_as_it_was_told_and_gone_when_closed(tmp_path: Path) -> None:
    secret, entered = Scratch("kind-", root=tmp_path), Scratch("kind-", root=tmp_path, mode=0o711)
    assert secret.path.stat().st_mode & 0o777 == 0o700
    assert entered.path.stat().st_mode & 0o777 == 0o711
    for each in (secret, entered, entered):
        each.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_behind_goes_and_what_a_living_one_has_stays(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False).returncode == -9
    (left,) = tmp_path.iterdir()
    other = Scratch("other-", root=tmp_path)
    assert left.exists(), "only those of the same kind are looked at"
    living = Scratch("kind-", root=tmp_path)
    assert not left.exists()
    remove_stale(tmp_path, "kind-")
    assert (living.path / LOCK).exists()
    living.close()
    other.close()


def test_what_has_no_lock_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kind-being-made").mkdir()
    (tmp_path / "kind-file").touch()
    (tmp_path / "kind-link").symlink_to("/")
    linked = tmp_path / "kind-linked"
    linked.mkdir()
    (tmp_path / "lock-of-another").touch()
    (linked / LOCK).symlink_to(tmp_path / "lock-of-another")
    Scratch("kind-", root=tmp_path).close()
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_those_of_other_users_are_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "kind-theirs"
    theirs.mkdir()
    (theirs / LOCK).touch()
    os.chown(theirs, 60999, 60999)
    Scratch("kind-", root=tmp_path).close()
    assert theirs.exists()
