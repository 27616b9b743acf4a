"""`auth`: what may be said, and what it means."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from shoal.core.access import Grant
from shoal.core.errors import ConfigError
from shoal.core.settings.node import NodeSettings, load_node_settings
from support.snippets import blocks_of

ISSUER = {
    "issuer": "https://login.example.org",
    "audience": "shoal",
    "keys": "https://login.example.org/certs",
    "grants": {"team": [{"permissions": ["engineer"], "namespace": "fraud"}]},
}


def load(tmp_path: Path, text: str = "", environment: dict[str, str] | None = None, **over: object) -> NodeSettings:
    file = tmp_path / "shoal.yaml"
    file.write_text(text)
    return load_node_settings(file, {"SHOAL_HOME": str(tmp_path / "home"), **(environment or {})}, over)


def test_by_default_control_decides(tmp_path: Path) -> None:
    auth = load(tmp_path).auth
    assert (auth.mode, auth.required, auth.off) == ("auto", False, False)


@pytest.mark.parametrize(
    ("text", "required", "off"),
    [
        ("auth: {mode: off}", False, True),
        ("auth: {mode: 'off'}", False, True),
        ("auth: {mode: keys}", True, False),
        ("auth: {keys_file: keys.yaml}", True, False),
        ("auth: {mode: off, keys_file: keys.yaml}", False, True),
    ],
)
def test_modes(tmp_path: Path, text: str, required: bool, off: bool) -> None:
    auth = load(tmp_path, text).auth
    assert (auth.required, auth.off) == (required, off)


def test_the_environment_says_it_too(tmp_path: Path) -> None:
    assert load(tmp_path, environment={"SHOAL_AUTH__MODE": "keys"}).auth.required
    assert load(tmp_path, environment={"SHOAL_AUTH__KEYS_FILE": "k.yaml"}).auth.keys_file == Path("k.yaml")


def test_an_issuer_becomes_what_the_verifier_takes(tmp_path: Path) -> None:
    settings = NodeSettings.model_validate({"auth": {"issuers": [ISSUER]}})
    assert settings.auth.required
    issuer = settings.auth.issuers[0].value
    assert issuer.algorithms == ("RS256",)
    assert issuer.grants == {"team": (Grant(("engineer",), "fraud", "*"),)}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"algorithms": ["HS256"]}, "cannot be allowed"),
        ({"algorithms": ["none"]}, "cannot be allowed"),
        ({"algorithms": []}, "at least 1"),
        ({"keys": "http://login.example.org/certs"}, "https"),
        ({"keys": "file:///etc/keys.json"}, "https"),
        ({"grants": {"team": [{"permissions": ["boss"]}]}}, "neither a role nor a permission"),
        ({"audience": ""}, "at least 1"),
        ({"jku": True}, "not permitted"),
    ],
)
def test_an_issuer_that_is_not_safe_is_refused(tmp_path: Path, change: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        load(tmp_path, yaml.safe_dump({"auth": {"issuers": [{**ISSUER, **change}]}}))


@pytest.mark.parametrize(
    ("text", "over", "word"),
    [
        ("", {}, "nobody is authenticated"),
        ("auth: {mode: auto}", {}, "nobody is authenticated"),
        ("auth: {mode: off, keys_file: keys.yaml}", {}, "nobody is authenticated"),
        ("auth: {mode: keys}", {}, "clear text"),
        ("auth: {keys_file: keys.yaml}", {}, "clear text"),
    ],
)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_beyond_this_machine_somebody_must_be_asked_and_not_in_clear_text(
    tmp_path: Path, text: str, over: dict[str, object], word: str, host: str
) -> None:
    with pytest.raises(ConfigError, match=word):
        load(tmp_path, text, host=host, **over)
    assert load(tmp_path, text, host=host, allow_remote=True)


def test_with_keys_and_tls_no_risk_has_to_be_taken(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("")
    key.chmod(0o600)
    assert load(tmp_path, "auth: {mode: keys}", host="0.0.0.0", tls_cert=key, tls_key=key).host == "0.0.0.0"


def test_the_issuer_of_the_guide_is_a_right_one() -> None:
    guide = (Path(__file__).parents[3] / "docs/guides/access.md").read_text()
    (block,) = [block for block in blocks_of(guide) if block.file == "node/issuers.yaml"]
    (issuer,) = NodeSettings.model_validate(yaml.safe_load(block.text)).auth.issuers
    assert issuer.value.grants["apps"] == (Grant(("caller",), "fraud", "card-check"),)
