"""What is missing is told, and `strict` does not start without it; by a worker whose kernel is made to have less."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shoal.core.confinement import NOT_CONFINED, REQUIRED, Plan, encode_plan

pytestmark = pytest.mark.process

LESS = """
import json
from shoal.serving.worker.confinement import applying, landlock, seccomp

def install(families):
    raise OSError(38, "Function not implemented")

landlock.version = lambda: {version}
seccomp.install = install
print(json.dumps(applying.confined_as_told()))
"""


def confined(folder: Path, version: int, *, strict: bool) -> subprocess.CompletedProcess[bytes]:
    plan = encode_plan(Plan(folder=str(folder), strict=strict, network=False))
    command = [sys.executable, "-c", LESS.replace("{version}", str(version))]
    return subprocess.run(command, input=plan, capture_output=True, check=False, env={**os.environ, "HOME": "/"})


def test_an_old_kernel_is_told_of(tmp_path: Path) -> None:
    done = confined(tmp_path, 0, strict=False)
    assert done.returncode == 0, done.stderr
    for means in ("files", "signals", "system_calls"):
        assert means.encode() in done.stdout


def test_strict_says_what_is_missing_and_does_not_start(tmp_path: Path) -> None:
    done = confined(tmp_path, 0, strict=True)
    assert done.returncode == NOT_CONFINED
    assert done.stdout == b""
    for means in ("files", "signals", "system_calls"):
        assert means.encode() in done.stderr
    assert {"files", "signals", "system_calls", "network"} <= REQUIRED
