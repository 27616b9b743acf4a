"""What a node refuses to seat in a shared pool."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.core.errors import ConfigError
from shoal.core.metrics import Metrics
from shoal.core.model import ModelSpec
from shoal.core.routes import Route
from shoal.core.service import Service
from shoal.core.settings.node import NodeSettings
from shoal.node.content.hosts import Hosts


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    pools = {"closed": {}, "open": {"network": True}}
    made = Hosts(NodeSettings.model_validate({"home": tmp_path, "pools": pools}), Metrics())
    yield made
    asyncio.run(made.stop())


def seat(hosts: Hosts, pool: str, network: bool | None) -> None:
    spec = ModelSpec(name="m", path="/m", runtime="onnx", placement="shared", pool=pool, network=network)
    hosts.make(spec, Route(service=Service(name="m", model="m"), target=None), lambda why: None)


def test_a_pool_and_its_models_agree_on_the_network(hosts: Hosts) -> None:
    with pytest.raises(ConfigError, match="asks for the network, which pool 'closed' has not"):
        seat(hosts, "closed", True)
    with pytest.raises(ConfigError, match="may not use the network, which pool 'open' has"):
        seat(hosts, "open", False)


def test_a_pool_that_is_not_there_is_named(hosts: Hosts) -> None:
    with pytest.raises(ConfigError, match="no pool 'other'") as caught:
        seat(hosts, "other", None)
    assert "closed, open" in caught.value.hint
