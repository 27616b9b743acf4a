"""OpenAPI says everything, is valid, and its examples work."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from shoal.control.api.app import api
from shoal.core import keys
from support.control_world import World, sha256
from support.keyed import Keyed

DOCUMENT = api().openapi()
OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]

QUIET = {
    "PUT /v1/blobs/{sha256}", "POST /v1/blobs/missing", "POST /v1/archives", "PUT /v1/nodes/{node}", "POST /v1/diff",
    "POST /v1/gc",
}  # fmt: skip
"""What changes nothing that is registered leaves no record; nor does the example of a collection, a dry run."""


def named(operation: tuple[str, str, Any]) -> str:
    return f"{operation[0]} {operation[1]}"


def test_the_document_is_valid() -> None:
    validate(json.loads(json.dumps(DOCUMENT)))


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_each_route_says_what_it_does_takes_and_gives(operation: tuple[str, str, Any]) -> None:
    method, _, told = operation
    assert len(told["description"]) > 15
    assert "default" in told["responses"]
    for each in told.get("parameters", ()):
        assert each["description"]
        assert each["in"] != "path" or each["schema"]["examples"] or each["examples"]
    if method in ("POST", "PUT", "PATCH"):
        assert [content["example"] for content in told["requestBody"]["content"].values()]


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_its_example_works(control: World, operation: tuple[str, str, Any]) -> None:
    method, path, told = operation
    digests = prepare(control)
    if method == "DELETE" and not path.endswith("{stage}"):
        for stage in ("production", "staging"):
            control.ask("DELETE", f"/v1/models/default/iris/stages/{stage}")
    for each in told.get("parameters", ()):
        if each["in"] == "path" and each["name"] != "id":
            path = path.replace(f"{{{each['name']}}}", str(example_of(each)).replace("DIGEST", digests))
    if method == "PUT" and operation[1].endswith("{stage}"):
        control.move("production", 1)
    if "{id}" in operation[1]:
        keyed = Keyed(control)
        path = path.replace("{id}", keys.parse(keyed.key("viewer")))
    query = {
        each["name"]: example_of(each)
        for each in told.get("parameters", ())
        if each.get("required") and each["in"] == "query"
    }
    before = len(control.control.registry.events(10_000))
    answer = control.ask(method, path, params=query, **body_of(told))
    records = len(control.control.registry.events(10_000)) - before
    assert records == (method not in ("GET", "HEAD") and named(operation) not in QUIET), records
    done = {status for status in told["responses"] if status.startswith("2")}
    assert str(answer.status_code) in done, answer.text
    content = told["responses"][str(answer.status_code)].get("content", {})
    if "application/json" in content:
        schema = {**content["application/json"]["schema"], "components": DOCUMENT["components"]}
        assert list(OAS31Validator(schema).iter_errors(answer.json())) == []


def prepare(world: World) -> str:
    """What the examples speak of; the digest of a manifest."""
    world.store(b"tree\n")
    version = world.push(b"r1")
    world.push(b"r2")
    for stage, ref in (("staging", 1), ("staging", 2), ("production", 1), ("production", 2)):
        world.move(stage, ref)
    world.deploy()
    world.deploy(environment="staging", replicas=1)
    return str(version["digest"])


def example_of(parameter: dict[str, Any]) -> Any:
    return (parameter["schema"].get("examples") or parameter["examples"])[0]


def body_of(told: dict[str, Any]) -> dict[str, Any]:
    content = told.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        return {"json": content["application/json"]["example"]}
    for each in content.values():
        return {"content": archive() if each["example"] == "ARCHIVE" else each["example"].encode()}
    return {}


def archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        entry = tarfile.TarInfo("model.txt")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"tree\n"))
    return out.getvalue()


def test_the_example_of_a_digest_is_one() -> None:
    assert sha256(b"tree\n") in json.dumps(DOCUMENT)
