"""What a test's world has opened is closed with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.routed_world import World


@pytest.fixture(autouse=True)
def _closed_worlds() -> Iterator[None]:
    yield
    while World.made:
        World.made.pop().state.close()
