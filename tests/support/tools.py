"""Programs that tests need: skipped where one is missing, but never in CI."""

from __future__ import annotations

import os
import shutil

import pytest


def needs(program: str) -> str:
    """The path of a program; skips the test if it is not installed, fails in CI."""
    path = shutil.which(program)
    if path is None:
        told = f"{program} is not installed"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    return path
