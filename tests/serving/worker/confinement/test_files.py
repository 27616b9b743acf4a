"""Which files a worker may open, whatever model it runs."""

from __future__ import annotations

import os
import sys

import pytest

from shoal.core.confinement import Plan
from shoal.serving.worker.confinement import files, landlock
from shoal.serving.worker.confinement.applying import settle

PLAN = Plan(folder="/own", readable=("/model",), writable=("/more",))


def rights(
    plan: Plan = PLAN, environment: dict[str, str] | None = None, path: list[str] | None = None
) -> dict[str, int]:
    return {each.path: each.rights for each in files.allowed(plan, environment or {}, path or ["", *sys.path])}


def test_only_its_own_folders_can_be_changed() -> None:
    given = rights()
    changed = {path for path, right in given.items() if right & landlock.MAKE_FILE}
    assert changed == {"/own", "/more", files.SHARED_MEMORY}
    assert given["/model"] == landlock.READ
    assert files.SHARED_MEMORY not in rights(Plan(folder="/own", strict=True))


def test_no_folder_above_what_is_secret_is_allowed() -> None:
    for path in rights():
        assert path not in ("/", "/etc", "/root", "/home", "/dev", "/var", "/tmp", "/run")


def test_the_folder_it_was_started_in_is_only_allowed_where_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.chdir(str(tmp_path))
    here = os.getcwd()
    assert here not in files.interpreter(["", "/lib/python"])
    assert here not in files.interpreter([here, "/lib/python"])
    assert here in files.interpreter(["", here, "/lib/python"])
    assert "/lib/python" in files.interpreter(["", "/lib/python"])
    assert "relative" not in files.interpreter(["", "relative"])


def test_caches_that_the_worker_is_told_of_are_readable_but_not_their_keys() -> None:
    given = rights(
        environment={"HF_HOME": "/hf", "TORCH_HOME": "/torch", "NLTK_DATA": "/a:/b", "LD_LIBRARY_PATH": "/l:x"}
    )
    assert {"/hf/hub", "/torch", "/a", "/b", "/l"} <= given.keys()
    assert not {"/hf", "x"} & given.keys()


def test_programs_look_for_home_and_temporary_files_in_its_own_folder() -> None:
    environment = {"HOME": "/home/ann", "XDG_CACHE_HOME": "/home/ann/.cache", "PATH": "/bin"}
    settle("/own", environment)
    assert environment == {"HOME": "/own", "TMPDIR": "/own", "TEMP": "/own", "TMP": "/own", "PATH": "/bin"}
