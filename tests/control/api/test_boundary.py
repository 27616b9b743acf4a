"""Who may call at all, and what becomes of errors that nobody expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.control_world import World, world


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8081", "127.0.0.1", "localhost:9", "LOCALHOST", "[::1]:8081", "127.0.0.53:8081"]
)
def test_loopback_names_get_in(control: World, host: str) -> None:
    assert control.ask("GET", "/v1/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8081",
        "127.0.0.1.evil.example",
        "10.0.0.1:8081",
        "",
        "[::1",
        "a@localhost.evil",
        "0",
    ],
)
def test_other_names_do_not(control: World, host: str) -> None:
    assert control.problem("GET", "/v1/models", headers={"host": host}) == (421, "misdirected")
    assert control.problem("GET", "/docs", headers={"host": host})[0] == 421


def test_names_of_the_settings_get_in(tmp_path: Path) -> None:
    with world(tmp_path, names=("Control.Example",)) as made:
        assert made.ask("GET", "/v1/models", headers={"host": "control.example:443"}).status_code == 200
        assert made.ask("GET", "/v1/models", headers={"host": "x.control.example"}).status_code == 421


@pytest.mark.parametrize("site", ["cross-site", "same-site", "CROSS-SITE"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_pages_of_other_sites_are_refused(control: World, site: str, method: str) -> None:
    assert control.problem(method, "/v1/models", headers={"sec-fetch-site": site}) == (403, "permission_denied")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:8080", "http://localhost:8081", ""]
)
def test_origins_other_than_this_control_are_refused(control: World, origin: str) -> None:
    assert control.problem("GET", "/v1/models", headers={"origin": origin}) == (403, "permission_denied")


def test_its_own_pages_may_call(control: World) -> None:
    own = {"origin": "http://127.0.0.1:8081", "sec-fetch-site": "same-origin"}
    assert control.ask("GET", "/v1/models", headers=own).status_code == 200


def test_no_answer_invites_other_origins(control: World) -> None:
    answer = control.ask("OPTIONS", "/v1/models", headers={"access-control-request-method": "POST"})
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_id_is_given_back_if_it_can_be(control: World) -> None:
    assert control.ask("GET", "/v1/models", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    made = control.ask("GET", "/v1/models", headers={"x-request-id": "two words"}).headers["x-request-id"]
    assert made
    assert made != "two words"


def test_a_bug_is_told_as_one_and_tells_nothing_of_the_inside(
    control: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> int:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(control.control.registry, "position", broken)
    answer = control.ask("GET", "/health/ready")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert "secret" in caplog.text
    assert answer.json()["request_id"] in [getattr(record, "request_id", "") for record in caplog.records]


def test_pages_forbid_what_they_do_not_need(control: World) -> None:
    page = control.ask("GET", "/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "http://" not in page.text.replace("http-equiv", "")
    for file in ("swagger-ui-bundle.js", "swagger-ui.css", "control-docs.js"):
        assert control.ask("GET", f"/docs/static/{file}").status_code == 200
    assert control.problem("GET", "/docs/static/..%2f..%2fsetup.py")[0] == 404
