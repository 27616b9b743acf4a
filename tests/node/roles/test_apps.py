"""How a gateway finds the apps of proxies that share its machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shoal.core.placement.rendezvous import Hosts
from shoal.core.settings.node import NodeSettings
from shoal.node.roles.apps import NearbyApps, folder_of
from shoal.node.roles.peers import Shares
from shoal.serving.gateway.endpoints.apps import socket_name


def nearby(proxies_at: object) -> NearbyApps:
    return NearbyApps(NodeSettings.model_validate({"proxies_at": str(proxies_at)}))


def listens(folder: Path, proxy: str, model: str) -> str:
    path = folder / f"{proxy}.apps" / socket_name(model)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    return str(path)


@pytest.mark.parametrize(
    ("listen", "folder"),
    [("unix:/run/x/proxies/proxy-1.sock", "/run/x/proxies/proxy-1.apps"), ("127.0.0.1:9090", None), (None, None)],
)
def test_apps_are_beside_the_socket_of_their_proxy(listen: str | None, folder: str | None) -> None:
    found = folder_of(NodeSettings.model_validate({"listen": listen}))
    assert (None if found is None else str(found)) == folder


@pytest.mark.parametrize("place", ["10.0.0.7:9090,10.0.0.8:9090", "/nowhere"])
def test_where_no_proxy_is_near_there_are_no_apps(place: str) -> None:
    assert nearby(place).get("page") is None


def test_they_come_and_go_as_their_sockets_do(tmp_path: Path) -> None:
    apps = nearby(tmp_path)
    (tmp_path / "proxy-1.sock").touch()
    assert apps.get("page") is None
    path = listens(tmp_path, "proxy-1", "page")
    way = apps.get("page")
    assert way is not None
    assert apps.get("page") is way, "connections are kept from one request to the next"
    assert apps.get("other") is None
    Path(path).unlink()
    assert apps.get("page") is None
    asyncio.run(apps.close())


@pytest.mark.parametrize("model", ["page", "other", "iris@fraud"])
def test_the_proxy_that_is_asked_for_a_model_is_asked_first_for_its_app(model: str, tmp_path: Path) -> None:
    names = [f"proxy-{number}" for number in range(1, 6)]
    paths = {name: listens(tmp_path, name, model) for name in names}
    ranked = Hosts(dict.fromkeys(names, 1.0)).ranked(Shares.key(model))
    assert nearby(tmp_path)._sockets(model) == [paths[name] for name in ranked]
    Path(paths[ranked[0]]).unlink()
    assert nearby(tmp_path)._sockets(model) == [paths[name] for name in ranked[1:]]
