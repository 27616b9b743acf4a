"""Environments: built once, whoever asks; never found in part; held while in use; removed when unused."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.environments import needs
from shoal.control.environments.assembling import Recipe
from shoal.control.environments.environments import Environments
from shoal.control.environments.pip import Progress
from shoal.control.environments.records import Environment, removable
from shoal.core.errors import ConfigError, NotFound, StorageFull, Unavailable

DAY = 24 * 3600.0


class Builder:
    """Fills a folder without pip; counts, and fails or waits if told to."""

    def __init__(self) -> None:
        self.built = 0
        self.error: Exception | None = None
        self.go_on = threading.Event()
        self.go_on.set()
        self.begun = threading.Event()

    def __call__(self, folder: Path, recipe: Recipe, *, progress: Progress, held: int) -> None:
        self.built += 1
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)
        (folder / "what").write_text(recipe.lock.text)
        self.begun.set()
        assert self.go_on.wait(20)
        if self.error is not None:
            raise self.error
        progress("done")


class Now:
    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def builder() -> Builder:
    return Builder()


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def environments(tmp_path: Path, builder: Builder, now: Now) -> Iterator[Environments]:
    made = Environments(tmp_path / "environments", clock=now, assemble=builder)
    yield made
    made.close()


def test_the_same_lock_is_built_once_however_it_is_written(environments: Environments, builder: Builder) -> None:
    first = environments.ensure("b==1\nA==2\n")
    again = environments.ensure("# the same\na == 2\nB==1")

    assert again == first
    assert builder.built == 1
    assert first.requirements == ("a==2", "b==1")
    assert first.target == needs.this_target()
    assert first.python.exists()
    assert environments.list() == (first,)


def test_another_lock_is_another_environment_beside_it(environments: Environments) -> None:
    assert environments.ensure("a==1").folder != environments.ensure("a==2").folder
    assert len(environments.list()) == 2


def test_a_wrong_lock_builds_nothing(environments: Environments, builder: Builder) -> None:
    with pytest.raises(ConfigError):
        environments.ensure("a>=1")

    assert builder.built == 0


def test_threads_that_want_the_same_wait_for_one_build(environments: Environments, builder: Builder) -> None:
    builder.go_on.clear()
    found: list[Environment] = []
    threads = [threading.Thread(target=lambda: found.append(environments.ensure("a==1"))) for _ in range(6)]
    for each in threads:
        each.start()
    assert builder.begun.wait(20)
    builder.go_on.set()
    for each in threads:
        each.join(20)

    assert builder.built == 1
    assert len(found) == 6
    assert len(set(map(str, found))) == 1


def test_a_failed_build_leaves_nothing_and_is_tried_again(environments: Environments, builder: Builder) -> None:
    builder.error = ConfigError("no such requirement")
    with pytest.raises(ConfigError, match="no such requirement"):
        environments.ensure("a==1")
    assert environments.list() == ()

    builder.error = None
    assert environments.ensure("a==1").python.exists()


def test_a_full_disk_and_a_refused_write_are_told(environments: Environments, builder: Builder) -> None:
    builder.error = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StorageFull, match="no room"):
        environments.ensure("a==1")

    builder.error = OSError(errno.EACCES, "Permission denied")
    with pytest.raises(Unavailable, match="Permission denied"):
        environments.ensure("a==1")


def test_what_is_ready_is_read_only(environments: Environments) -> None:
    made = environments.ensure("a==1")

    for path in (Path(made.folder), Path(made.folder, "what"), Path(made.folder, "bin")):
        assert path.stat().st_mode & 0o222 == 0
    assert made.bytes >= 5


def test_an_environment_whose_python_has_gone_is_built_again(environments: Environments, builder: Builder) -> None:
    made = environments.ensure("a==1")
    folder = Path(made.folder, "bin")
    folder.chmod(0o755)
    (folder / "python").unlink()
    (folder / "python").symlink_to("/nowhere/python")

    with pytest.raises(NotFound, match="lost its interpreter"):
        environments.find(made.digest)
    assert environments.ensure("a==1").python.exists()
    assert builder.built == 2


KILLED = """
import sys, os
from pathlib import Path
from shoal.control.environments.environments import Environments
def assemble(folder, recipe, *, progress, held):
    (folder / "bin").mkdir(parents=True)
    (folder / "half").write_text("half")
    print("begun", flush=True)
    sys.stdin.read()
Environments(Path(sys.argv[1]), assemble=assemble).ensure("a==1")
"""


@pytest.mark.process
def test_a_build_that_was_killed_is_never_found_and_is_begun_again(
    environments: Environments, builder: Builder, tmp_path: Path
) -> None:
    home = tmp_path / "environments"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"begun\n"
        assert environments.list() == ()
        waiting = threading.Thread(target=environments.ensure, args=("a==1",))
        waiting.start()
        assert not builder.begun.is_set()  # it waits: the other may still succeed
        other.send_signal(signal.SIGKILL)
    waiting.join(20)

    (made,) = environments.list()
    assert builder.built == 1
    assert not Path(made.folder, "half").exists()


def test_what_is_held_named_or_used_lately_is_not_removed(environments: Environments, now: Now) -> None:
    held, named, lately, unused = (environments.ensure(f"a=={number}") for number in range(4))
    for each in (named, unused, lately):
        environments.release(each.digest)
    now.seconds += 2 * DAY
    lately = environments.ensure("a==2")
    environments.release(lately.digest)

    removed = environments.remove_unused(keep={named.digest}, grace_seconds=DAY)

    assert [each.digest for each in removed] == [unused.digest]
    assert not Path(unused.folder).exists()
    assert {each.digest for each in environments.list()} == {held.digest, named.digest, lately.digest}


def test_what_another_process_holds_is_not_removed(
    environments: Environments, builder: Builder, now: Now, tmp_path: Path
) -> None:
    other = Environments(tmp_path / "environments", clock=now, assemble=builder)  # locks of its own, as a process has
    made = other.ensure("a==1")
    now.seconds += 2 * DAY

    assert environments.remove_unused() == ()
    other.close()
    assert [each.digest for each in environments.remove_unused()] == [made.digest]


def test_what_a_killed_build_has_left_is_removed(environments: Environments, tmp_path: Path) -> None:
    left = tmp_path / "environments" / ("0" * 64)
    unpacked = tmp_path / "environments" / ".unpacked-1"
    for each in (left, unpacked):
        (each / "bin").mkdir(parents=True)
    os.utime(unpacked, (0, 0))

    environments.remove_unused()

    assert not left.exists()
    assert not unpacked.exists()


def test_what_is_released_twice_or_unknown_is_no_error(environments: Environments) -> None:
    environments.release("unknown")
    with pytest.raises(NotFound, match="no environment 'unknown'"):
        environments.find("unknown")


def _environment(number: int, used: float) -> Environment:
    return Environment(
        digest=str(number), folder="/", requirements=(), target=needs.this_target(), bytes=0, created=0, used=used
    )


@given(st.dictionaries(st.integers(0, 9), st.floats(0, 1000)), st.sets(st.integers(0, 9)), st.floats(0, 1000))
def test_only_the_old_and_unnamed_may_go_the_oldest_first(used: dict[int, float], keep: set[int], grace: float) -> None:
    found = removable([_environment(*each) for each in used.items()], set(map(str, keep)), 1000.0, grace)

    assert {int(each.digest) for each in found} == {
        number for number, at in used.items() if number not in keep and 1000.0 - at >= grace
    }
    assert [each.used for each in found] == sorted(each.used for each in found)
