"""A whole control, registry and store together, killed or refused by the disk at each system call of its changes.

What is there afterwards is the state before the change that was under way or the one after it, to the last row, or, of
a collection, that between its two changes: deleted versions are forgotten, then blobs are collected; what was told is
there; every version that is not deleted has all its files; and a collection finds all leftovers.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from shoal.control.control import Control
from shoal.testing.stores import read
from support import change_steps as steps
from support.churn import environment, picture
from support.tools import needs

pytestmark = pytest.mark.process

CALLS = (
    "write,pwrite64,fsync,fdatasync,rename,renameat,link,unlink,unlinkat,mkdir,mkdirat,rmdir,fchmod,chmod,utimensat,"
    "flock,ftruncate"
)
FAULTS = {"write": "ENOSPC", "pwrite64": "ENOSPC", "fsync": "EIO", "fdatasync": "EIO", "rename": "EIO"}

Point = tuple[str, int]


class Ways:
    """A home as it was before the changes, and what its registry holds after each of them, made in peace."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = folder / "before"
        with steps.opened(self._before) as control:
            steps.prepare(control)
        peace = self.fresh("peace")
        self.pictures = [picture(url_of(peace))]
        with steps.opened(peace) as control:
            for step in steps.STEPS:
                step(control)
                self.pictures.append(picture(url_of(peace)))
        halfway = self.fresh("halfway")
        with steps.opened(halfway) as control:
            for step in steps.STEPS[:-1]:
                step(control)
            control.registry.purge(0.0, actor="ann")
            self.halfway = picture(url_of(halfway))

    def fresh(self, name: str) -> Path:
        return Path(shutil.copytree(self._before, self._folder / name))

    def points(self) -> list[Point]:
        """Each call that changes something, by its name and its number among its kind."""
        home = self.fresh("dry")
        trace = home / "trace"
        code, told = run(home, "-e", f"trace={CALLS}", output=trace)
        assert (code, told) == (0, ["opened"] + ["done"] * len(steps.STEPS))
        counts = Counter(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE))
        shutil.rmtree(home)
        return [(name, number) for name, count in sorted(counts.items()) for number in range(1, count + 1)]


def url_of(home: Path) -> str:
    return f"sqlite:///{home / 'registry.db'}"


def run(home: Path, *strace: str, output: Path | None = None) -> tuple[int, list[str]]:
    """Exit code, and what was told."""
    tracing = [needs("strace"), "-f", "-qq", "-o", str(output or os.devnull), *strace]
    command = [*tracing, sys.executable, "-B", "-P", steps.__file__, str(home), "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment())
    return done.returncode, done.stdout.split("\n")[:-1]


def check(ways: Ways, home: Path, told: list[str]) -> None:
    """See the module; and the rest of the changes can be made as if nothing had happened."""
    done = told.count("done")
    with steps.opened(home) as control:
        left = picture(url_of(home))
        halfway = done == len(steps.STEPS) - 1 and left == ways.halfway
        assert halfway or left in ways.pictures[done : done + 2], "the old state or the new one"
        reached = done if halfway else ways.pictures.index(left)
        assert reached == done or not told[-1:] or not told[-1].startswith("refused"), "what was refused is not done"
        check_files(control)
        steps.collect(control)
        assert {each.sha256 for each in control.blobs.list()} == set(control.registry.live_digests())
    assert os.listdir(home / "store" / "tmp") == []
    with steps.opened(home) as control:
        for step in steps.STEPS[reached:]:
            step(control)
        check_files(control)
        assert control.registry.model(*steps.MODEL).stages == {"production": 2}


def check_files(control: Control) -> None:
    """All versions that are there have their files, with the right content."""
    for version in control.registry.versions(*steps.MODEL):
        for file in control.registry.manifest(version.digest).files:
            data = read(control.blobs, file.sha256)
            assert (hashlib.sha256(data).hexdigest(), len(data)) == (file.sha256, file.size)


@pytest.fixture
def ways(tmp_path: Path) -> Ways:
    return Ways(tmp_path)


def killed_at(ways: Ways, points: list[Point]) -> None:
    for name, number in points:
        home = ways.fresh(f"{name}-{number}")
        code, told = run(home, "-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}")
        assert code == -signal.SIGKILL, (name, number, told)
        check(ways, home, told)
        shutil.rmtree(home)


def refused_at(ways: Ways, points: list[Point]) -> None:
    for name, number in points:
        home = ways.fresh(f"{name}-{number}")
        fault = f"inject={name}:error={FAULTS[name]}:when={number}"
        _, told = run(home, "-e", f"trace={name}", "-e", fault)
        refusals = [each for each in told if each.startswith("refused")]
        assert all(re.match(r"refused (storage_full|unavailable): \w.{20,}", each) for each in refusals), refusals
        check(ways, home, told)
        shutil.rmtree(home)


def faulty(points: list[Point]) -> list[Point]:
    return [point for point in points if point[0] in FAULTS]


def test_killed_at_some_calls_of_publish_promote_rollback_delete_and_collect(ways: Ways) -> None:
    points = ways.points()
    assert len(points) > 60
    killed_at(ways, random.sample(points, 10))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_every_call_of_publish_promote_rollback_delete_and_collect(ways: Ways) -> None:
    killed_at(ways, ways.points())


def test_a_disk_that_is_full_or_broken_at_some_calls(ways: Ways) -> None:
    refused_at(ways, random.sample(faulty(ways.points()), 4))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_disk_that_is_full_or_broken_at_every_call(ways: Ways) -> None:
    refused_at(ways, faulty(ways.points()))
