"""The port for those who run a proxy."""

from __future__ import annotations

import asyncio

import pytest

from shoal.core.errors import ConfigError
from shoal.core.metrics import Metrics
from shoal.core.settings.node import NodeSettings
from shoal.node.roles.operations import Operations
from support.gateway_fakes import FakeModels


def make(place: str, **settings: object) -> Operations:
    return Operations(
        NodeSettings.model_validate({"operations": place, **settings}), FakeModels(), Metrics(), lambda: (b"", b"")
    )


@pytest.mark.parametrize("place", ["0.0.0.0:0", "192.0.2.1:9000", "example.org:9000"])
def test_nobody_beyond_this_machine_is_told_metrics_unless_somebody_says_so(place: str) -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="nobody is authenticated"):
            make(place)
        make(place, allow_remote=True)
        make("127.0.0.1:0")

    asyncio.run(main())


def test_a_place_that_is_none_is_said() -> None:
    with pytest.raises(ConfigError, match="operations"):
        make("nowhere")
