"""A control that wants keys, for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.control_world import world
from support.keyed import Keyed


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Keyed]:
    with world(tmp_path / "home") as made:
        yield Keyed(made)
