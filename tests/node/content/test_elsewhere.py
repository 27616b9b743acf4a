"""Whether a process has workers of its own or elsewhere, as its settings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.core.errors import ConfigError
from shoal.core.settings.node import NodeSettings, load_node_settings
from shoal.node.roles.peers import hosts_of
from shoal.serving.peering.directory import SocketFolder


def test_workers_are_its_own_unless_hosts_are_named(tmp_path: Path) -> None:
    assert hosts_of(NodeSettings.model_validate({})) is None
    assert isinstance(hosts_of(NodeSettings.model_validate({"workers_at": str(tmp_path)})), SocketFolder)


@pytest.mark.parametrize("said", [{"workers_at": "a:1,b:2"}, {"workers_directory": "hosts.txt"}])
def test_hosts_on_other_machines_need_certificates(said: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="certificates") as raised:
        hosts_of(NodeSettings.model_validate(said))
    assert raised.value.field == "peers"


def test_a_list_and_a_file_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="workers_at and workers_directory"):
        load_node_settings(None, {}, {"workers_at": "/run/x", "workers_directory": "hosts.txt"})
