"""Quotas at the control port: what a push that does not fit is told, and when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.control_world import World, manifest, sha256, world


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[World]:
    quotas = {"*": {"bytes": 100}, "default": {"models": 2, "bytes": 10}}
    with world(tmp_path / "bound", quotas=quotas) as made:
        yield made


def test_a_loop_that_creates_is_told_429_at_the_limit_and_507_for_bytes_and_others_go_on(bound: World) -> None:
    statuses = []
    for number in range(4):
        content = b"r%d" % number
        bound.store(content)
        body = {"model": f"m{number}", "manifest": manifest(model__onnx=content)}
        statuses.append(bound.ask("POST", f"/v1/models/default/m{number}/versions", json=body).status_code)
    assert statuses == [201, 201, 429, 429]
    bound.store(b"r" + b"x" * 9)
    large = {"json": {"model": "m0", "manifest": manifest(model__onnx=b"r" + b"x" * 9)}}
    assert bound.problem("POST", "/v1/models/default/m0/versions", **large) == (507, "storage_quota_exceeded")
    assert bound.ask("PUT", "/v1/namespaces/team", json={}).status_code == 200
    assert bound.push(b"r" + b"x" * 9, namespace="team")["version"] == 1
    used = bound.get("/v1/namespaces/default/usage")
    assert used["used"] == {"models": 2, "versions": 2, "services": 0, "bytes": 4}
    assert used["limits"] == {"models": 2, "versions": None, "services": None, "bytes": 10}


def test_a_refusal_by_a_quota_is_not_kept_for_the_same_key(bound: World) -> None:
    for model in ("a", "b"):
        bound.push(b"r1", model=model)
    bound.store(b"r2")
    asked = {
        "json": {"model": "c", "manifest": manifest(model__onnx=b"r2")},
        "headers": {"idempotency-key": "again"},
    }
    assert bound.problem("POST", "/v1/models/default/c/versions", **asked) == (429, "quota_exceeded")
    assert bound.ask("DELETE", "/v1/models/default/a").status_code == 204
    assert bound.ask("POST", "/v1/models/default/c/versions", **asked).status_code == 201


def test_who_says_what_files_are_for_is_refused_before_they_are_sent(bound: World) -> None:
    asked = {"json": {"digests": [sha256(b"r1")]}, "params": {"namespace": "default", "model": "iris", "bytes": 11}}
    assert bound.problem("POST", "/v1/blobs/missing", **asked) == (507, "storage_quota_exceeded")
    bound.store(b"r1")
    assert bound.ask("POST", "/v1/blobs/missing", **asked).json() == {"digests": []}, "nothing of it is to be sent"
