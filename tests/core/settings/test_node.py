from pathlib import Path

import pytest

from shoal.core.errors import ConfigError
from shoal.core.outgoing.policy import Allow, policy_of
from shoal.core.settings.node import is_loopback, load_node_settings


def test_later_sources_win_over_earlier_ones(tmp_path: Path) -> None:
    file = tmp_path / "shoal.yaml"
    file.write_text("port: 1000\nhost: localhost\nlimits: {body_bytes: 7}\n")
    settings = load_node_settings(file, {"SHOAL_PORT": "2000", "SHOAL_URL": "http://elsewhere"}, {"port": None})
    assert (settings.port, settings.host, settings.wire_limits.body_bytes) == (2000, "localhost", 7)
    assert load_node_settings(file, {"SHOAL_PORT": "2000"}, {"port": 3000}).port == 3000


def test_a_limit_can_be_set_from_the_environment() -> None:
    settings = load_node_settings(None, {"SHOAL_LIMITS__HEADER_SECONDS": "2.5"}, {})
    assert settings.wire_limits.header_seconds == 2.5


def test_a_limit_from_the_environment_leaves_those_of_the_file_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "shoal.yaml"
    file.write_text("limits: {body_bytes: 1000, streams: 7}\n")
    settings = load_node_settings(file, {"SHOAL_LIMITS__CONNECTIONS": "5", "SHOAL_LIMITS__STREAMS": "9"}, {})
    limits = settings.wire_limits
    assert (limits.body_bytes, limits.connections, limits.streams) == (1000, 5, 9)


@pytest.mark.parametrize(
    ("text", "named"),
    [("prot: 1", "prot"), ("limits: {body_bytes: 0}", "limits.body_bytes"), ("- 1", "list"), ("port: [", "expected")],
)
def test_a_wrong_file_names_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "shoal.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=named):
        load_node_settings(file, {}, {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"shoal\.yaml"):
        load_node_settings(tmp_path / "shoal.yaml", {}, {})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_nothing_but_loopback_is_bound_without_saying_so(host: str) -> None:
    with pytest.raises(ConfigError, match="refusing to listen"):
        load_node_settings(None, {}, {"host": host})
    assert load_node_settings(None, {}, {"host": host, "allow_remote": True}).host == host


def test_what_models_may_fetch_is_told_to_workers_where_it_is_not_the_default() -> None:
    assert load_node_settings(None, {}, {}).worker_variables == {}
    settings = load_node_settings(None, {"SHOAL_OUTGOING__PRIVATE": "true"}, {"port": 9000, "control_port": 0})
    assert policy_of(settings.worker_variables) == Allow(private=True, own_ports=(9000,))
    with pytest.raises(ConfigError, match=r"outgoing\.schemes"):
        load_node_settings(None, {}, {"outgoing": {"schemes": ["ftp"]}})


def test_loopback_has_many_names() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.8.9.1", "::1"]))
