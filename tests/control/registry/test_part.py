"""Several questions to one state of the registry."""

from __future__ import annotations

import pytest

from shoal.control.registry import Registry
from shoal.core.errors import NotFound
from shoal.core.service import Service
from support.registered import push


def test_a_snapshot_stays_as_it_was(registry: Registry) -> None:
    push(registry, "iris")
    with registry.snapshot() as state:
        position = state.position()
        push(registry, "iris")
        registry.put_service(Service(name="new", model="iris"))
        assert state.model("default", "iris").latest == 1
        assert state.version("default", "iris", "latest").version == 1
        assert (state.services(), state.position()) == ([], position)
        with state.snapshot() as same:
            assert same.position() == position
    with registry.snapshot() as state:
        assert state.version("default", "iris", "latest").version == 2


def test_what_a_snapshot_does_not_find_costs_no_connection(registry: Registry) -> None:
    for _ in range(20):
        with pytest.raises(NotFound), registry.snapshot() as state:
            state.model("default", "nothing")
    assert registry.position() == 0
