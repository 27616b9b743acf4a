"""A registry for each test: the fake, and the real one in SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shoal.control.registry import open_registry
from support.fake_store import FakeStore


@pytest.fixture(params=["fake", "sqlite"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    opened = FakeStore() if request.param == "fake" else open_registry(f"sqlite:///{tmp_path}/registry.db")
    yield opened
    opened.close()
