"""The models as somebody sees them: all that is asked about one that is seen is answered, and nothing about others."""

from __future__ import annotations

import asyncio

import pytest

from shoal.core.errors import NotFound
from shoal.core.model import ModelState
from shoal.serving.gateway.guard.sight import Sight
from support.gateway_fakes import FakeModels, handle


def sight() -> tuple[Sight, FakeModels]:
    models = FakeModels(handle("iris", "1"), handle("iris", "2"), handle("hidden"))
    models.elsewhere = {(name, ""): handle(name) for name in ("iris-far", "hidden-far")}
    return Sight(models, lambda name: name.startswith("iris")), models


def test_what_is_seen_is_as_it_is() -> None:
    async def main() -> None:
        seen, models = sight()
        assert seen.find("iris", "1") is models.handles[0]
        assert seen.find("iris") is models.handles[1]
        assert [each.spec.version for each in seen.versions("iris")] == ["1", "2"]
        assert seen.explain("iris")["state"] == "READY"
        assert seen.discoverable("iris-far") is True
        await seen.discover("iris-far")
        assert [each.spec.name for each in seen.all()] == ["iris", "iris", "iris-far"]
        assert list(seen.some(3)) == ["iris", "iris"]
        await seen.unload("iris")
        assert models.handles[0].state is ModelState.UNAVAILABLE
        await seen.load("iris", "{}")
        assert models.loads == [("iris", "{}")]
        assert seen.ready() is models.ready() is True
        models.handles[0].state = ModelState.LOADING
        assert seen.ready() is False

    asyncio.run(main())


def test_what_is_not_seen_is_not_there_and_is_not_asked_about() -> None:
    async def main() -> None:
        seen, models = sight()
        assert list(seen.versions("hidden")) == []
        assert seen.discoverable("hidden-far") is False
        for ask in (seen.find, seen.explain):
            with pytest.raises(NotFound, match="there is no model 'hidden'"):
                ask("hidden")
        for change in (seen.load, seen.unload, seen.discover):
            with pytest.raises(NotFound, match="there is no model 'hidden"):
                await change("hidden-far")
        assert (models.finds, models.loads, len(models.handles)) == (0, [], 3)

    asyncio.run(main())
