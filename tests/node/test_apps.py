"""Full-custom apps, where nobody could reach them."""

from __future__ import annotations

import asyncio

import pytest

from shoal.core.model import ModelSpec
from shoal.node.apps import Apps


def test_an_app_that_no_request_can_reach_is_told_of_and_not_started(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        apps = Apps()
        apps.reachable = False
        apps.serve([ModelSpec(name="page", path="/x", runtime="python", app="page:app")])
        assert not apps.proxies
        await apps.stop()

    asyncio.run(main())
    (told,) = caplog.records
    assert "is not served" in told.getMessage()
    assert vars(told)["model"] == "page"
