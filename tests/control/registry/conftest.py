"""Each test that takes `registry` runs on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.control.registry import Registry, open_registry
from shoal.core.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def registry(url: str, clock: ManualClock) -> Iterator[Registry]:
    opened = open_registry(url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_registry(tmp_path: Path, clock: ManualClock) -> Iterator[Registry]:
    opened = open_registry(f"sqlite:///{tmp_path}/registry.db", clock=clock)
    yield opened
    opened.close()
