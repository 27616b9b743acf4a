"""The documentation of control in a browser: a key as its password, for the pages and nothing else."""

from __future__ import annotations

import base64

import httpx

from shoal.control.security.credentials import PAGES
from shoal.control.security.rules import RULES
from shoal.core import keys as texts
from support.keyed import Keyed

PATHS = ("/docs", "/docs/static/control-docs.js", "/openapi.json")


def open_page(keyed: Keyed, path: str, password: str, method: str = "GET", **headers: str) -> httpx.Response:
    """As a browser does once somebody has typed a name and a password."""
    shown = base64.b64encode(f"anybody:{password}".encode()).decode()
    return keyed.ask("", method, path, headers={"authorization": f"Basic {shown}", **headers})


def test_the_pages_are_routes_that_change_nothing() -> None:
    assert set(RULES) >= PAGES
    assert {each.partition(" ")[0] for each in PAGES} == {"GET"}


def test_a_browser_is_asked_for_a_key_and_shown_the_page(keyed: Keyed) -> None:
    viewer, caller = keyed.key("viewer"), keyed.key("caller")
    for path in PATHS:
        asked = keyed.ask("", "GET", path)
        assert asked.status_code == 401
        assert [each.partition(" ")[0] for each in asked.headers.get_list("www-authenticate")] == ["Bearer", "Basic"]
        assert open_page(keyed, path, viewer).status_code == 200
        assert open_page(keyed, path, texts.generate().text).status_code == 401
        assert open_page(keyed, path, caller).status_code == 403


def test_a_password_counts_for_pages_alone(keyed: Keyed) -> None:
    for method, path in (("GET", "/v1/models"), ("POST", "/v1/gc"), ("HEAD", "/openapi.json"), ("GET", "/docs/x/y")):
        answer = open_page(keyed, path, keyed.admin, method)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_other_sites_get_nothing_of_it(keyed: Keyed) -> None:
    assert open_page(keyed, "/openapi.json", keyed.admin, **{"sec-fetch-site": "cross-site"}).status_code == 403


def test_what_is_no_password_lets_nobody_in(keyed: Keyed) -> None:
    for value in (b"Basic", b"Basic ", b"Basic \xff", b"Basic !!!", b"Basic YTo=", b"basic YQ=="):
        assert keyed.ask("", "GET", "/docs", headers={"authorization": value}).status_code in (401, 429), value


def test_guessing_in_a_browser_is_held_up_and_written_down(keyed: Keyed) -> None:
    wrong = texts.generate().text
    assert [open_page(keyed, "/docs", wrong).status_code for _ in range(7)] == [401] * 6 + [429]
    assert [each["actor"] for each in keyed.records("denied")] == [""] * 6
    assert keyed.records("denied")[0]["detail"]["route"] == "GET /docs"
    assert wrong not in str(keyed.records())
    assert open_page(keyed, "/docs", keyed.admin).status_code == 200


def test_the_document_says_how_to_show_a_key(keyed: Keyed) -> None:
    document = keyed.world.get("/openapi.json")
    assert document["security"] == [{"key": []}]
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
