"""A control for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.control_world import World, world


@pytest.fixture
def control(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home") as made:
        yield made
