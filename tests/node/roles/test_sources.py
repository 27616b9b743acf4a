"""Where a host of workers has its models from."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shoal.control import folder
from shoal.core.errors import ConfigError, Conflict, NotFound
from shoal.core.model import ModelSpec
from shoal.core.settings.node import NodeSettings
from shoal.node.roles import sources
from shoal.node.roles.sources import FileSource
from shoal.serving.remote.marks import mark_of
from shoal.serving.remote.messages import Wanted

MODEL = "class M:\n    def predict_all(self, inputs):\n        return inputs\n"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for version in ("1", "2"):
        (tmp_path / "models/m" / version).mkdir(parents=True)
        (tmp_path / "models/m" / version / "model.py").write_text(f"# {version}\n{MODEL}")
    return tmp_path / "models"


def source(*paths: Path, **settings: object) -> FileSource:
    return FileSource(NodeSettings.model_validate({"trust": True, **settings}), paths)


def of_proxy(path: Path, version: str = "1") -> ModelSpec:
    """What a proxy that has these files would ask for."""
    return next(spec for spec in folder.scan([path], trust=True).specs if spec.version == version)


def wanted(spec: ModelSpec) -> Wanted:
    return Wanted(spec.name, spec.version, mark_of(spec))


def test_all_versions_are_there_from_the_start_and_are_those_of_a_proxy_with_the_same_files(models: Path) -> None:
    async def test() -> None:
        own = source(models)
        first = await own.start()
        assert first == [wanted(of_proxy(models, "1")), wanted(of_proxy(models, "2"))]
        for each in first:
            assert (await own.find(each)).spec.version == each.version

    asyncio.run(test())


def test_what_is_not_there_and_what_is_something_else_is_refused(models: Path) -> None:
    async def test() -> None:
        own = source(models)
        await own.start()
        with pytest.raises(NotFound, match="no model 'm', version 3"):
            await own.find(Wanted("m", "3", "x"))
        with pytest.raises(Conflict, match="'m/1' on this host are not those of the proxy"):
            await own.find(Wanted("m", "1", "x"))

    asyncio.run(test())


def test_changed_files_are_found_when_they_are_asked_for(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FRESH_SECONDS", 0.0)

    async def test() -> None:
        own = source(models)
        before = (await own.start())[0]
        (models / "m/1/model.py").write_text(f"# something else\n{MODEL}")
        after = wanted(of_proxy(models))
        assert after != before
        assert (await own.find(after)).spec.version == "1"
        with pytest.raises(Conflict):
            await own.find(before)

    asyncio.run(test())


def test_a_host_without_any_model_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to serve"):
        asyncio.run(source(tmp_path).start())


def test_a_hosts_own_settings_say_how_many_workers(models: Path) -> None:
    own = source(models, workers=3)
    assert own.adjusted(of_proxy(models)).limits.workers == 3
