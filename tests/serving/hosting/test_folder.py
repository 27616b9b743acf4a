"""Models of files, with runners that do nothing but tell what was asked of them."""

from __future__ import annotations

import asyncio

import pytest

from shoal.core.call import Call, Format
from shoal.core.errors import ConfigError, NotFound, NotReady, ShoalError
from shoal.core.ipc.messages import Loaded
from shoal.core.model import Batching, ModelSpec, ModelState
from shoal.core.types import Signature
from shoal.serving.hosting.folder import FolderModels


class FakeDispatch:
    def __init__(self) -> None:
        self.calls: list[Call] = []

    def submit(self, call: Call) -> None:
        self.calls.append(call)

    def cancel(self, call: Call) -> None:
        call.cancel()


class FakeRunner:
    def __init__(self, spec: ModelSpec, *, fails: bool = False) -> None:
        self.spec, self.fails = spec, fails
        self.dispatch = FakeDispatch()
        self.loaded: Loaded | None = None
        self.log: list[str] = []

    @property
    def state(self) -> ModelState:
        return ModelState.READY

    @property
    def reason(self) -> str:
        return ""

    async def start(self, *, all_ready: bool = False) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise ConfigError("no such file")
        self.loaded = Loaded(1, Signature(), "fake", True, "", 0.1, 1, "{}")
        self.log.append("start")

    async def drain(self) -> None:
        self.log.append("drain")

    async def stop(self) -> None:
        self.log.append("stop")

    def configure(self, batching: Batching) -> None:
        self.log.append("configure")

    def resize(self, workers: int) -> None:
        self.log.append(f"resize {workers}")

    def statistics(self) -> dict[str, object]:
        return {"inference_count": 7}

    def explain(self) -> dict[str, object]:
        return {"workers_ready": 1}


class World:
    """A repository in memory, and the runners that were made for it."""

    def __init__(self) -> None:
        self.repository: dict[str, list[ModelSpec]] = {}
        self.broken: set[str] = set()
        self.runners: list[FakeRunner] = []
        self.hosting = FolderModels(self.make, lambda name, config: self.repository.get(name, []))

    def make(self, spec: ModelSpec) -> FakeRunner:
        self.runners.append(FakeRunner(spec, fails=spec.path in self.broken))
        return self.runners[-1]


class Recorded(Call):
    __slots__ = ("outcome",)

    def on_error(self, error: ShoalError) -> None:
        self.outcome = error


def spec(name: str, version: str = "", path: str = "/m") -> ModelSpec:
    return ModelSpec(name=name, version=version, path=path, runtime="fake")


def a_call() -> Recorded:
    return Recorded(Format.V2_JSON, b"", arrived=0, deadline=1)


def test_the_highest_ready_version_is_the_default() -> None:
    async def main() -> None:
        world = World()
        world.broken = {"/broken"}
        specs = [spec("m", "2"), spec("m", "10"), spec("m", "11", "/broken"), spec("m", "9")]
        errors = await world.hosting.serve(specs)
        assert [str(error) for error in errors] == ["no such file"]
        assert world.hosting.find("m").spec.version == "10"
        assert world.hosting.find("m", "2").spec.version == "2"
        assert [handle.spec.version for handle in world.hosting.versions("m")] == ["2", "9", "10", "11"]

    asyncio.run(main())


def test_a_version_that_failed_says_why_to_its_callers() -> None:
    async def main() -> None:
        world = World()
        world.broken = {"/m"}
        await world.hosting.serve([spec("m")])
        handle, call = world.hosting.find("m"), a_call()
        handle.dispatch.submit(call)
        assert isinstance(call.outcome, NotReady)
        assert "no such file" in str(call.outcome)
        assert handle.state is ModelState.UNAVAILABLE

    asyncio.run(main())


def test_a_reload_makes_the_new_one_before_it_breaks_the_old_one() -> None:
    async def main() -> None:
        world = World()
        world.repository["m"] = [spec("m")]
        await world.hosting.serve(world.repository["m"])
        handle = world.hosting.find("m")
        await world.hosting.load("m")
        old, new = world.runners
        assert (old.log, new.log) == (["start", "drain"], ["start"])
        assert world.hosting.find("m") is handle
        handle.dispatch.submit(a_call())
        assert len(new.dispatch.calls) == 1

    asyncio.run(main())


def test_a_failing_reload_leaves_the_old_one_serving() -> None:
    async def main() -> None:
        world = World()
        await world.hosting.serve([spec("m")])
        world.repository["m"] = [spec("m", path="/broken")]
        world.broken = {"/broken"}
        with pytest.raises(ConfigError):
            await world.hosting.load("m")
        old, new = world.runners
        assert (old.log, new.log) == (["start"], ["stop"])
        assert world.hosting.find("m").spec.path == "/m"
        assert world.hosting.find("m").state is ModelState.READY

    asyncio.run(main())


def test_a_version_whose_files_are_gone_is_dropped_on_reload() -> None:
    async def main() -> None:
        world = World()
        await world.hosting.serve([spec("m", "1"), spec("m", "2")])
        world.repository["m"] = [spec("m", "1")]
        await world.hosting.load("m")
        assert world.hosting.find("m").spec.version == "1"
        with pytest.raises(NotFound, match="no version '2'"):
            world.hosting.find("m", "2")

    asyncio.run(main())


def test_an_unloaded_model_is_still_known_and_can_be_loaded_again() -> None:
    async def main() -> None:
        world = World()
        world.repository["m"] = [spec("m")]
        await world.hosting.serve(world.repository["m"])
        await world.hosting.unload("m")
        handle = world.hosting.find("m")
        assert (handle.state, handle.reason) == (ModelState.UNAVAILABLE, "it was unloaded")
        assert world.runners[0].log == ["start", "drain"]
        await world.hosting.load("m")
        assert handle.state is ModelState.READY
        assert [*world.hosting.some(9)] == ["m"]
        assert [*world.hosting.some(0)] == []
        await world.hosting.remove("m")
        assert world.hosting.all() == []

    asyncio.run(main())


def test_unknown_names_are_not_found() -> None:
    async def main() -> None:
        hosting = World().hosting
        with pytest.raises(NotFound):
            hosting.find("nobody")
        with pytest.raises(NotFound):
            await hosting.load("nobody")
        with pytest.raises(NotFound):
            await hosting.unload("nobody")

    asyncio.run(main())


def test_stop_drains_and_then_stops_all() -> None:
    async def main() -> None:
        world = World()
        await world.hosting.serve([spec("a"), spec("b")])
        await world.hosting.stop(grace=1.0)
        assert [runner.log for runner in world.runners] == [["start", "drain", "stop"]] * 2

    asyncio.run(main())
