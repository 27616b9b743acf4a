"""Tests that install from the package index: skipped where it cannot be reached, but never in CI."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile

import pytest

OLD, NEW = "iniconfig==1.1.1", "iniconfig==2.0.0"
"""Two versions of a small library that needs nothing."""


def needs_index() -> None:
    """Skip the test if pip cannot download; fail in CI."""
    told = _unreachable()
    if told:
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)


@functools.cache
def _unreachable() -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--retries", "0", "-d", folder, NEW]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"the package index cannot be reached: {done.stderr[-200:]}" if done.returncode else ""
