import re
from html.parser import HTMLParser

import pytest

from shoal.core.model import ModelState
from shoal.serving.gateway.endpoints import docs_assets
from support.gateway_fakes import Gateway, handle

PAGES = ["/", "/docs", "/v2/models/iris/docs", "/v2/models/digits/versions/1/docs"]


class Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src", "data-url") and value]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("installed", [True, False])
def test_everything_a_page_names_is_answered_by_this_server(
    page: str, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed:
        monkeypatch.setattr(docs_assets, "available", lambda: False)
    served = Gateway()
    answer = served.get(page)
    assert (answer.status, answer.content_type) == (200, b"text/html; charset=utf-8")
    policy = answer.headers[b"content-security-policy"]
    assert b"default-src 'none'" in policy
    assert b"http" not in policy
    assert "<script>" not in answer.body.decode()
    links = Links(answer.body.decode()).found
    assert links
    for link in links:
        assert link.startswith("/")
        assert served.get(link).status == 200, link


def test_without_the_viewer_the_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs_assets, "available", lambda: False)
    text = Gateway().get("/docs").body.decode()
    assert "shoal[docs]" in text
    assert "/v2/models/iris/infer" in text
    assert "swagger" not in text


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("swagger-ui.css", b"text/css"),
        ("swagger-ui-bundle.js", b"text/javascript"),
        ("shoal-docs.js", b"text/javascript"),
    ],
)
def test_assets_have_their_types_and_may_be_kept(name: str, kind: bytes) -> None:
    answer = Gateway().get(f"/docs/static/{name}")
    assert answer.content_type.startswith(kind)
    assert b"max-age" in answer.headers[b"cache-control"]
    assert not re.search(rb"sourceMappingURL=https?:", answer.body)


@pytest.mark.parametrize("name", ["swagger-ui.js.map", "..%2f__init__.py", "index.html", "x"])
def test_no_other_file_is_served(name: str) -> None:
    assert Gateway().get(f"/docs/static/{name}").status == 404


def test_reasons_are_escaped() -> None:
    served = Gateway(handle("iris", state=ModelState.UNAVAILABLE, reason="<script>alert(1)</script>"))
    text = served.get("/").body.decode()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_a_node_without_models_says_what_to_do() -> None:
    served = Gateway(handle("x"))
    served.models.handles.clear()
    assert "Put a model file" in served.get("/").body.decode()
