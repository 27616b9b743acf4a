"""Every route of the control port against every role: what is expected of a cell is written here, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.control.api.app import api
from shoal.control.security.guard import names_of
from shoal.control.security.rules import RULES, Where
from support.control_world import manifest, sha256, world
from support.keyed import Keyed

COLUMNS = ("caller", "viewer", "engineer", "qa", "owner", "admin", "node", "nobody", "foreign")
"""`nobody` has no key; `foreign` owns another namespace."""
THROUGH = "."
STATUS = {"1": 401, "3": 403, "4": 404}
MATRIX = """
GET    /health/live                                              . . . . . . . . .
GET    /health/ready                                             . . . . . . . . .
GET    /v1/models                                                3 . . . . . 3 1 .
GET    /v1/models/{namespace}/{name}                             4 . . . . . 4 1 4
PATCH  /v1/models/{namespace}/{name}                             4 3 . 3 . . 4 1 4
DELETE /v1/models/{namespace}/{name}                             4 3 3 3 . . 4 1 4
GET    /v1/models/{namespace}/{name}/versions                    4 . . . . . 4 1 4
POST   /v1/models/{namespace}/{name}/versions                    4 3 . 3 . . 4 1 4
GET    /v1/models/{namespace}/{name}/versions/{ref}              4 . . . . . 4 1 4
PATCH  /v1/models/{namespace}/{name}/versions/{number}           4 3 . 3 . . 4 1 4
DELETE /v1/models/{namespace}/{name}/versions/{number}           4 3 3 3 . . 4 1 4
POST   /v1/register-many                                         3 3 . 3 . . 3 1 .
PUT    /v1/models/{namespace}/{name}/stages/{stage}              4 3 . . . . 4 1 4
DELETE /v1/models/{namespace}/{name}/stages/{stage}              4 3 . . . . 4 1 4
POST   /v1/models/{namespace}/{name}/stages/{stage}/rollback     4 3 . . . . 4 1 4
GET    /v1/models/{namespace}/{name}/stages/{stage}/history      4 . . . . . 4 1 4
GET    /v1/models/{namespace}/{name}/stages/history              4 . . . . . 4 1 4
GET    /v1/services                                              3 . . . . . 3 1 .
GET    /v1/services/{namespace}/{name}/{environment}             4 . . . . . 4 1 4
PUT    /v1/services/{namespace}/{name}/{environment}             4 3 . 3 . . 4 1 4
DELETE /v1/services/{namespace}/{name}/{environment}             4 3 3 3 . . 4 1 4
GET    /v1/services/{namespace}/{name}/{environment}/history     4 . . . . . 4 1 4
POST   /v1/services/{namespace}/{name}/{environment}/scale       4 3 . 3 . . 4 1 4
POST   /v1/services/{namespace}/{name}/promote                   4 3 . . . . 4 1 4
GET    /v1/diff                                                  4 . . . . . 4 1 4
POST   /v1/diff                                                  3 . . . . . 3 1 .
PUT    /v1/blobs/{sha256}                                        3 3 . 3 . . 3 1 .
GET    /v1/blobs/{sha256}                                        3 . . . . . . 1 4
HEAD   /v1/blobs/{sha256}                                        3 . . . . . . 1 4
POST   /v1/blobs/missing                                         3 3 . 3 . . 3 1 .
GET    /v1/manifests/{digest}                                    3 . . . . . . 1 4
POST   /v1/archives                                              3 3 . 3 . . 3 1 .
GET    /v1/namespaces                                            3 . . . . . 3 1 .
GET    /v1/namespaces/{namespace}                                4 . . . . . 4 1 4
GET    /v1/namespaces/{namespace}/usage                          4 3 . 3 . . 4 1 4
PUT    /v1/namespaces/{namespace}                                4 3 3 3 . . 4 1 4
GET    /v1/routes/{address}                                      4 . . . . . . 1 4
GET    /v1/desired                                               3 3 3 3 3 . . 1 3
GET    /v1/feed                                                  3 3 3 3 3 . . 1 3
PUT    /v1/nodes/{node}                                          3 3 3 3 3 . . 1 3
POST   /v1/nodes/{node}/denied                                   3 3 3 3 3 . . 1 3
GET    /v1/nodes                                                 3 3 3 3 3 . 3 1 3
GET    /v1/access                                                3 3 3 3 3 . . 1 3
GET    /v1/keys                                                  3 3 3 3 . . 3 1 .
POST   /v1/keys                                                  3 3 3 3 . . 3 1 .
DELETE /v1/keys/{id}                                             3 3 3 3 . . 3 1 4
GET    /v1/events                                                3 3 3 3 . . 3 1 .
GET    /v1/audit                                                 3 3 3 3 3 . 3 1 3
POST   /v1/gc                                                    3 3 3 3 3 . 3 1 3
GET    /docs                                                     3 . . . . . 3 1 .
GET    /docs/static/{file}                                       3 . . . . . 3 1 .
GET    /openapi.json                                             3 . . . . . 3 1 .
HEAD   /openapi.json                                             3 . . . . . 3 1 .
"""
CONTENT = b"r1"
QUERY = {
    "GET /v1/diff": {"name": "iris", "from": "production", "to": "production"},
    "DELETE /v1/models/{namespace}/{name}/stages/{stage}": {"expected": "999"},
}


def expected() -> Iterator[tuple[str, str, str]]:
    """Route, column and what is expected, cell by cell."""
    for line in MATRIX.strip().splitlines():
        method, path, *cells = line.split()
        assert len(cells) == len(COLUMNS), line
        yield from ((f"{method} {path}", column, cell) for column, cell in zip(COLUMNS, cells, strict=True))


def prepare(keyed: Keyed) -> None:
    """What the routes are asked about."""
    keyed.world.push(CONTENT)
    keyed.world.push(b"r2")
    keyed.world.move("production", 1)
    assert keyed.world.ask("PUT", "/v1/namespaces/other", json={}).status_code == 200


@pytest.fixture
def keys(keyed: Keyed) -> dict[str, str]:
    """A key for each column."""
    prepare(keyed)
    roles = {role: keyed.key(role) for role in ("caller", "viewer", "engineer", "qa", "owner")}
    others = {"node": keyed.key("node", namespace="*"), "foreign": keyed.key("owner", namespace="other")}
    return {**roles, **others, "admin": keyed.admin, "nobody": ""}


def test_every_route_of_the_application_has_a_rule_and_a_row_and_no_row_is_left_over() -> None:
    found = names_of(api().routes)
    assert sorted(found) == sorted(RULES)
    assert {route for route, _, _ in expected()} == set(RULES)


def test_nothing_is_open_but_health() -> None:
    opened = {name for name, rule in RULES.items() if rule.where is Where.OPEN}
    assert opened == {"GET /health/live", "GET /health/ready"}


def test_every_cell_is_answered_as_expected(keyed: Keyed, keys: dict[str, str]) -> None:
    answered_as_expected(keyed, keys)


def test_a_certificates_name_is_answered_as_a_key_of_the_same_grants(tmp_path: Path) -> None:
    grants = {role: [{"permissions": [role]}] for role in ("viewer", "owner")}
    grants |= {role: [{"permissions": [role], "namespace": "*"}] for role in ("admin", "node")}
    grants["foreign"] = [{"permissions": ["owner"], "namespace": "other"}]
    with world(tmp_path, certificates={f"{column}.example": each for column, each in grants.items()}) as made:
        made.certificate = "admin.example"
        keyed = Keyed(made)
        prepare(keyed)
        answered_as_expected(keyed, dict.fromkeys([*grants, "nobody"], ""))


def answered_as_expected(keyed: Keyed, keys: dict[str, str]) -> None:
    """Each column for which there is a key asks with it, and over a connection with a certificate of its name."""
    wrong, cells = [], 0
    for route, column, cell in expected():
        if column not in keys:
            continue
        method, path = _ready(keyed, route).split(" ")
        content = b"another" if method in ("PUT", "POST", "PATCH") else None
        keyed.world.certificate = f"{column}.example"
        answer = keyed.ask(keys[column], method, path, params=QUERY.get(route), content=content)
        status, cells = answer.status_code, cells + 1
        right = status not in (401, 403, 404, 421, 429) and status < 500 if cell == THROUGH else status == STATUS[cell]
        if not right:
            wrong.append((route, column, cell, status, answer.text[:200]))
    assert not wrong
    assert cells == len(RULES) * len(keys)


def _ready(keyed: Keyed, route: str) -> str:
    """The route with things that are there in its place; those that it may take away are made anew."""
    if route.startswith("DELETE /v1/services"):
        keyed.world.deploy()
    gone = keyed.key("viewer").split("_")[1] if route.startswith("DELETE /v1/keys") else ""
    digest = sha256(b"another") if route.startswith("PUT /v1/blobs") else sha256(CONTENT)
    named = {
        "namespace": "default", "name": "iris", "environment": "production", "stage": "production", "ref": "1",
        "number": "1", "sha256": digest, "digest": _digest(), "address": "iris", "node": "n", "id": gone,
        "file": "control-docs.js",
    }  # fmt: skip
    if "/v1/services" in route and "{name}" in route:
        keyed.world.deploy()
    return route.format(**named)


def _digest() -> str:
    from shoal.core.registry import FileEntry, Manifest

    files = manifest(model__onnx=CONTENT)["files"]
    return Manifest(files=tuple(FileEntry(**each) for each in files)).digest
