"""A client's certificate stands for somebody at control, where nothing else is sent."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shoal.control.main import running
from shoal.core.errors import ConfigError
from shoal.core.settings.control import ControlSettings, load_control_settings
from support.certificates import Certificates
from support.control_world import World, world
from support.keyed import Keyed

GRANTS = {
    "ops.example": [{"permissions": ["admin"], "namespace": "*"}],
    "ci.example": [{"permissions": ["engineer"]}],
}


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "home", certificates=GRANTS) as one:
        yield one


def test_names_alone_turn_authentication_on(made: World) -> None:
    assert made.problem("GET", "/v1/models") == (401, "unauthenticated")
    made.certificate = "ci.example"
    assert made.ask("GET", "/v1/models").status_code == 200
    assert made.problem("GET", "/v1/nodes") == (403, "permission_denied")


def test_another_name_is_nobody(made: World) -> None:
    for made.certificate in ("", "other.example", "ops.example.evil.test", "OPS.example", "*"):
        assert made.problem("GET", "/v1/models") == (401, "unauthenticated")


def test_what_is_sent_counts_instead(made: World) -> None:
    made.certificate = "ops.example"
    keyed = Keyed(made)
    assert keyed.told(keyed.key("viewer"), "GET", "/v1/nodes") == (403, "permission_denied")
    assert keyed.told("shoal_nonsense", "GET", "/v1/nodes") == (401, "unauthenticated")
    assert keyed.ask("", "GET", "/v1/nodes").status_code == 200


def test_records_name_who_it_was_and_who_was_let_down(made: World) -> None:
    made.certificate = "other.example"
    assert made.problem("GET", "/v1/models") == (401, "unauthenticated")
    made.certificate = "ci.example"
    made.push()
    assert made.problem("DELETE", "/v1/models/default/iris") == (403, "permission_denied")
    made.certificate = "ops.example"
    told = [(each["actor"], each["action"]) for each in made.get("/v1/events")["events"]]
    assert told == [
        ("ci.example", "DELETE /v1/models/{namespace}/{name}"),
        ("ci.example", "version.register"),
        ("", "authenticate"),
    ]
    assert made.get("/v1/events")["events"][-1]["detail"]["certificate"] == "other.example"


def test_a_browser_with_a_certificate_does_nothing_for_other_sites(made: World) -> None:
    made.certificate = "ops.example"
    headers = {"sec-fetch-site": "cross-site"}
    assert made.problem("POST", "/v1/gc", headers=headers) == (403, "permission_denied")


def test_names_without_authorities_grant_nothing_and_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no client is asked for one"):
        load_control_settings(None, {}, {"home": tmp_path, "certificates": GRANTS})


def test_wrong_grants_stop_the_start(tmp_path: Path) -> None:
    grants = [{"permissions": ["emperor"]}]
    with pytest.raises(ConfigError, match="certificates"):
        load_control_settings(None, {}, {"home": tmp_path, "certificates": {"a": grants}, "tls_client_ca": "x"})


def test_tls_tells_the_name(tmp_path: Path) -> None:
    own = Certificates(tmp_path)
    certificate, key = own.issue()
    shown = {name: own.issue(name, f"{name}.example") for name in ("ci", "other")}
    files = {"tls_cert": certificate, "tls_key": key, "tls_client_ca": own.ca, "tls_clients": "optional"}
    settings = ControlSettings(home=tmp_path / "home", port=0, certificates=GRANTS, **files)
    with running(settings) as server:
        assert asked(server.url, own.client(shown["ci"])) == [200, 200, 403]
        assert asked(server.url, own.client(shown["other"])) == [401, 401, 401]
        assert asked(server.url, own.client()) == [401, 401, 401]


def asked(url: str, context: ssl.SSLContext) -> list[int]:
    """The statuses of three questions over one connection."""
    with httpx.Client(verify=context, base_url=url) as client:
        return [client.get(path).status_code for path in ("/v1/models", "/v1/services", "/v1/nodes")]
