"""Which processes a split node has, and how each is started."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from shoal.core.limits import TenantLimits
from shoal.core.settings.node import NodeSettings, load_node_settings
from shoal.node.tree import plan


def settings(**fields: object) -> NodeSettings:
    return NodeSettings.model_validate({"name": "here", "port": 0, **fields})


def test_each_proxy_has_a_socket_and_a_name_of_its_own_and_each_gateway_the_same_port() -> None:
    said = settings(gateways=3, proxies=2, operations="127.0.0.1:9")
    folder = Path("/run/x")
    proxies = plan.proxies(said, [Path("models")], folder, 8080)
    gateways = plan.gateways(said, [Path("models")], folder, 8080)
    assert [each.name for each in proxies] == plan.proxy_names(said) == ["proxy-1", "proxy-2"]
    assert [each.settings.listen for each in proxies] == [
        "unix:/run/x/proxies/proxy-1.sock",
        "unix:/run/x/proxies/proxy-2.sock",
    ]
    assert [each.settings.name for each in proxies] == ["here-proxy-1", "here-proxy-2"]
    assert [each.name for each in gateways] == ["gateway-1", "gateway-2", "gateway-3"]
    assert {(each.settings.port, each.settings.reuse_port) for each in gateways} == {(8080, True)}
    assert {each.settings.proxies_at for each in gateways} == {"/run/x/proxies"}
    assert not any(each.settings.operations for each in proxies + gateways)


def test_gateways_share_the_quotas_and_proxies_the_memory() -> None:
    said = {
        "gateways": 4,
        "proxies": 2,
        "memory": "8Gi",
        "tenants": {"a": {"rate": 100, "concurrency": 6, "weight": 3}},
    }
    settings = NodeSettings.model_validate(said)
    for member in plan.gateways(settings, [], Path("/run"), 8080):
        assert member.settings.tenants["a"].limits == TenantLimits(rate=25, concurrency=2, weight=3)
    for member in plan.proxies(settings, [], Path("/run"), 8080):
        assert member.settings.memory == 4 * 1024**3
        assert member.settings.waiting == settings.waiting // 2
        assert member.settings.tenants == settings.tenants


def test_one_number_is_enough_to_split_a_node() -> None:
    assert not settings().is_split
    for said in (settings(gateways=1), settings(proxies=1)):
        assert said.is_split
        assert len(plan.proxies(said, [], Path("/x"), 1)) == len(plan.gateways(said, [], Path("/x"), 1)) == 1


def test_a_process_reads_the_settings_that_it_was_given_whatever_the_environment_says(tmp_path: Path) -> None:
    said = settings(proxies=2, trust=True, home=tmp_path, pools={"shared": {"memory": "1Gi"}}, limits={"streams": 7})
    for member in [*plan.proxies(said, [], tmp_path, 8080), *plan.gateways(said, [], tmp_path, 8080)]:
        member.write_settings()
        command = member.command(5)
        file = Path(command[command.index("--config") + 1])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        variables = plan.environment({"SHOAL_PORT": "1", "SHOAL_LIMITS__STREAMS": "9", "SHOAL_URL": "u", "PATH": "p"})
        assert variables == {"SHOAL_URL": "u", "PATH": "p"}
        assert load_node_settings(file, variables, {}) == member.settings


def test_what_is_secret_is_written_in_full_and_only_there() -> None:
    class Secret:
        def get_secret_value(self) -> str:
            return "s3cret"

    assert plan.plain({"a": [Secret(), Path("/x")], "b": None}) == {"a": ["s3cret", "/x"], "b": None}


@pytest.mark.parametrize("role", ["proxy", "gateway"])
def test_paths_are_those_of_who_asked(role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make = plan.proxies if role == "proxy" else plan.gateways
    (member,) = make(settings(), [Path("models")], Path("/x"), 1)
    words = member.command(3)[3:5]
    assert words == ["proxy", str(tmp_path / "models")] if role == "proxy" else ["gateway", "--files"]
