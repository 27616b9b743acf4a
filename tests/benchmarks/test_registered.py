from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import yaml

from benchmarks.figures.many_models import moved
from benchmarks.peers import Setup, Site, Wire
from benchmarks.peers.registered import RegisteredModels
from benchmarks.peers.repository import REST, Repository, fill
from benchmarks.shelf import name_of
from shoal.core.settings.node import load_node_settings

SITE = Site(Path("/env/bin/python"), Path("/models"), Path("/scratch"), 1001, 1002, 1003)


def content(number: int) -> bytes:
    return b"model %d" % number


def test_a_node_gets_its_home_its_ports_and_settings_that_are_valid(tmp_path: Path) -> None:
    peer = RegisteredModels(tmp_path, {"shared": {"workers": 1, "max_models": 50}})
    command = peer.launch(Setup("m000000"), SITE).command
    options = dict(zip(command[2:-1:2], command[3::2], strict=False))
    assert (options["--port"], options["--control-port"], options["--home"]) == ("1001", "1003", str(tmp_path))
    settings = load_node_settings(Path(options["--config"]), {}, {})
    assert settings.pools["shared"].max_models == 50


def test_without_pools_the_defaults_hold(tmp_path: Path) -> None:
    RegisteredModels(tmp_path).launch(Setup(), SITE)
    assert yaml.safe_load((tmp_path / "shoal.yaml").read_text()) == {}


def test_registered_models_are_asked_over_rest(tmp_path: Path) -> None:
    request = RegisteredModels(tmp_path).request(Setup("m000007"), Wire.JSON, SITE)
    assert request is not None
    assert request.url == "http://127.0.0.1:1001/v2/models/m000007/infer"
    assert RegisteredModels(tmp_path).request(Setup("m000007"), Wire.GRPC, SITE) is None


def test_a_repository_holds_the_first_models_and_the_rest_can_be_put_there_at_once(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    rest = fill(root, range(2), range(5), content)
    assert sorted(each.name for each in root.iterdir()) == [name_of(0), name_of(1)]
    with moved(rest, root / REST):
        assert sorted(each.name for each in (root / REST).iterdir()) == [name_of(at) for at in (2, 3, 4)]
    assert rest.is_dir()
    assert json.loads((root / name_of(1) / "model-settings.json").read_text())["name"] == name_of(1)


def test_what_a_killed_run_has_left_is_put_in_order(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    rest = fill(root, range(1), range(3), content)
    rest.rename(root / REST)
    assert fill(root, range(1), range(3), content) == rest
    assert not (root / REST).exists()


def test_mlserver_gets_its_repository(tmp_path: Path) -> None:
    for direct in (True, False):
        peer = Repository(direct, tmp_path)
        assert peer.launch(Setup(), SITE).command[1:] == ("start", str(tmp_path))
        settings = json.loads((tmp_path / "settings.json").read_text())
        assert ("model_repository_implementation" in settings) == direct
    assert peer.name != dataclasses.replace(peer, direct=True).name
