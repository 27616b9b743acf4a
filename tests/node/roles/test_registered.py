"""A host of workers takes what proxies name for what control says it is, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shoal.core.errors import Conflict, NotFound, Unavailable
from shoal.core.model import ModelSpec
from shoal.core.registry import Manifest
from shoal.core.routes import Route, Target
from shoal.core.service import Service
from shoal.core.settings.node import NodeSettings
from shoal.node.roles.registered import RegistrySource
from shoal.serving.hosting.entry import Prepared
from shoal.serving.hosting.state import Key
from shoal.serving.remote.marks import mark_of
from shoal.serving.remote.messages import Wanted


def route(version: str) -> Route:
    target = Target(namespace="default", model="m", version=version, digest=f"d{version}", manifest=Manifest(()))
    return Route(service=Service(name="m", model="m"), target=target)


def spec(version: str) -> ModelSpec:
    return ModelSpec(name="m", path="", runtime="python", version=version, digest=f"d{version}")


def wanted(version: str) -> Wanted:
    return Wanted("m", version, mark_of(spec(version)))


class Routes:
    """What is on disk, and what control says; None: it is silent."""

    def __init__(self, disk: dict[Key, Route], control: dict[Key, Route] | None) -> None:
        self.disk = disk
        self.control = control
        self.asked: list[Key] = []

    def known(self, key: Key) -> Route | None:
        return self.disk.get(key)

    async def ask(self, key: Key) -> Route:
        self.asked.append(key)
        if self.control is None:
            raise Unavailable("control does not answer")
        if key not in self.control:
            raise NotFound("no such thing")
        return self.control[key]


class Files:
    """Prepares every route; counts what is held."""

    def __init__(self) -> None:
        self.held = 0

    async def prepare(self, route: Route, version: str) -> Prepared:
        assert route.target is not None
        self.held += 1
        return Prepared(spec(route.target.version), self._release)

    def _release(self) -> None:
        self.held -= 1

    def close(self) -> None: ...


class World:
    def __init__(self, home: Path) -> None:
        settings = NodeSettings.model_validate({"home": home, "control": "http://127.0.0.1:9"})
        self.source = RegistrySource(settings)
        self.source._preparing.close()
        self.files: Any = Files()
        self.source._preparing = self.files

    def find(self, version: str, *, disk: dict[Key, Route], control: dict[Key, Route] | None) -> tuple[str, list[Key]]:
        routes: Any = Routes(disk, control)
        self.source._routes = routes
        return asyncio.run(self.source.find(wanted(version))).spec.version, routes.asked


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    asyncio.run(made.source.stop())


def test_what_is_on_disk_is_enough(world: World) -> None:
    assert world.find("1", disk={("m", ""): route("1")}, control=None) == ("1", [])
    assert world.files.held == 1
    assert world.source._state.get(("m", "1")) is not None


def test_what_has_changed_is_asked_for(world: World) -> None:
    found = world.find("2", disk={("m", ""): route("1")}, control={("m", ""): route("2")})
    assert found == ("2", [("m", "")])


def test_a_version_that_a_caller_named_is_found_beside_the_one_that_is_served(world: World) -> None:
    control = {("m", ""): route("2"), ("m", "1"): route("1")}
    assert world.find("1", disk={}, control=control) == ("1", [("m", ""), ("m", "1")])


def test_what_control_does_not_know_is_refused_and_what_it_cannot_say_too(world: World) -> None:
    with pytest.raises(NotFound):
        world.find("1", disk={}, control={})
    with pytest.raises(Unavailable):
        world.find("1", disk={("m", ""): route("2")}, control=None)
    assert world.files.held == 0


def test_other_files_of_the_same_number_are_refused_and_let_go_of(world: World) -> None:
    routes: Any = Routes({}, {("m", ""): route("1")})
    world.source._routes = routes
    with pytest.raises(Conflict, match="something else"):
        asyncio.run(world.source.find(Wanted("m", "1", "x")))
    assert world.files.held == 0
