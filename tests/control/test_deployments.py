"""Two who change a service at the same time do not overwrite each other unseen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from shoal.control.deployments import ATTEMPTS, Deployments
from shoal.control.registry import Nodes, Registry, ServiceRecord, open_registry
from shoal.core.errors import Conflict
from shoal.core.service import Service
from support.registered import push


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = open_registry(f"sqlite:///{tmp_path}/registry.db")
    push(opened, "iris")
    yield opened
    opened.close()


class Busy:
    """Somebody else changes the description whenever a service has been read."""

    def __init__(self, registry: Registry, times: int) -> None:
        self._registry = registry
        self._times = times
        self.read = 0

    def service(self, *where: str) -> ServiceRecord:
        record = self._registry.service(*where)
        self.read += 1
        if self.read <= self._times:
            changed = msgspec.structs.replace(record.service, description=f"change {self.read}")
            self._registry.put_service(changed)
        return record

    def __getattr__(self, name: str) -> object:
        return getattr(self._registry, name)


def test_a_change_that_met_another_is_made_again(registry: Registry) -> None:
    registry.put_service(Service(name="iris", model="iris"))
    busy = Busy(registry, 2)
    entry = Deployments(busy, Nodes(), 30.0).scale("default", "iris", "production", 7, actor="ann")  # type: ignore[arg-type]
    assert (entry.service.replicas, entry.service.description, busy.read) == (7, "change 2", 3)


def test_it_is_given_up_after_some_attempts(registry: Registry) -> None:
    registry.put_service(Service(name="iris", model="iris"))
    busy = Busy(registry, 100)
    with pytest.raises(Conflict):
        Deployments(busy, Nodes(), 30.0).scale("default", "iris", "production", 7, actor="ann")  # type: ignore[arg-type]
    assert busy.read == ATTEMPTS
    assert registry.service("default", "iris").service.replicas == 1
