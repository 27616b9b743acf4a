"""Full-custom apps of a process: where they listen, and where nobody could reach them."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from shoal.core.errors import ConfigError
from shoal.core.model import ModelSpec
from shoal.node import apps as module
from shoal.node.apps import Apps
from shoal.serving.gateway.endpoints.apps import socket_name


class NoProcess:
    """An app's process that only says where it would listen."""

    sockets: list[Path] = []

    def __init__(self, spec: ModelSpec, socket_path: Path, confiner: object) -> None:
        self.sockets.append(socket_path)
        socket_path.touch()

    def start(self) -> None: ...

    async def stop(self) -> None: ...


def page(name: str = "page") -> ModelSpec:
    return ModelSpec(name=name, path="/x", runtime="python", app="page:app")


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    NoProcess.sockets = []
    monkeypatch.setattr(module, "AppProcess", NoProcess)
    return NoProcess.sockets


def test_an_app_that_no_request_can_reach_is_told_of_and_not_started(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        apps = Apps()
        apps.listen_in(None)
        apps.serve([page()])
        assert not apps.proxies
        await apps.stop()

    asyncio.run(main())
    (told,) = caplog.records
    assert "is not served" in told.getMessage()
    assert vars(told)["model"] == "page"


def test_its_own_folder_is_private_and_goes_with_it(sockets: list[Path]) -> None:
    async def main() -> None:
        apps = Apps()
        apps.serve([page(), page("other")])
        one, other = sockets
        assert one.parent == other.parent
        assert stat.S_IMODE(one.parent.stat().st_mode) == 0o700
        await apps.stop()
        assert not one.parent.exists()

    asyncio.run(main())


def test_a_given_folder_loses_what_a_former_process_left_and_stays(tmp_path: Path, sockets: list[Path]) -> None:
    folder = tmp_path / "proxy-1.apps"
    folder.mkdir(mode=0o755)
    (folder / socket_name("gone")).touch()

    async def main() -> None:
        apps = Apps()
        apps.listen_in(folder)
        assert not list(folder.iterdir())
        apps.serve([page()])
        assert sockets == [folder / socket_name("page")]
        await apps.drop(["page"])
        apps.serve([page()])
        assert sockets[1:] == sockets[:1], "gateways find it where it was"
        await apps.stop()

    asyncio.run(main())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_had_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be had"):
        Apps().listen_in(tmp_path / "file" / "proxy-1.apps")
