"""Stages through the API: moved, compared and set, rolled back, signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shoal.control import signing
from shoal.core.registry import FileEntry, Manifest
from support.control_world import World, sha256

STAGE = "/v1/models/default/iris/stages/production"


def signature(content: bytes, key: Path) -> str:
    return signing.sign(Manifest((FileEntry("model.onnx", len(content), sha256(content)),)), key)


def test_a_stage_moves_and_tells_from_where(control: World) -> None:
    control.push(b"r1")
    control.push(b"r2")
    control.move("production", 1)
    told = control.ask("PUT", STAGE, json={"ref": "latest", "comment": "better"}).json()
    assert (told["version"], told["previous"], told["comment"], told["actor"]) == (2, 1, "better", "local")
    assert [move["version"] for move in control.get(f"{STAGE}/history")["moves"]] == [2, 1]
    assert len(control.get("/v1/models/default/iris/stages/history")["moves"]) == 2


def test_a_move_may_say_what_it_expects(control: World) -> None:
    control.push(b"r1")
    control.push(b"r2")
    assert control.ask("PUT", STAGE, json={"ref": "1", "expected": 0}).status_code == 200
    assert control.problem("PUT", STAGE, json={"ref": "2", "expected": 2}) == (409, "conflict")
    assert control.problem("DELETE", f"{STAGE}?expected=2") == (409, "conflict")
    assert control.ask("DELETE", f"{STAGE}?expected=1").json()["version"] == 0
    assert control.problem("DELETE", STAGE) == (404, "not_found")


def test_rollback_walks_back_and_may_say_what_it_expects(control: World) -> None:
    for content in (b"r1", b"r2", b"r3"):
        number = control.push(content)["version"]
        control.move("production", number)
    assert control.ask("POST", f"{STAGE}/rollback", json={"expected": 3}).json()["version"] == 2
    assert control.problem("POST", f"{STAGE}/rollback", json={"expected": 3}) == (409, "conflict")
    assert control.ask("POST", f"{STAGE}/rollback", json={}).json()["version"] == 1
    assert control.problem("POST", f"{STAGE}/rollback", json={}) == (404, "not_found")


@pytest.mark.parametrize("stage", ["Production", "a b", "%2e%2e", "x" * 64, "latest"])
def test_names_that_are_none(control: World, stage: str) -> None:
    control.push()
    assert control.problem("PUT", f"/v1/models/default/iris/stages/{stage}", json={"ref": "1"})[0] == 400


class TestSigned:
    @pytest.fixture
    def key(self, control: World, tmp_path: Path) -> Path:
        path = tmp_path / "key.pem"
        policy: dict[str, Any] = {"signed_stages": ["production"], "trusted_keys": [signing.new_key(path)]}
        assert control.ask("PUT", "/v1/namespaces/default", json={"policy": policy}).status_code == 200
        return path

    def test_only_what_a_trusted_key_has_signed_gets_there(self, control: World, key: Path) -> None:
        control.push(b"r1", signature=signature(b"r1", key))
        control.push(b"r2")
        control.move("production", 1)
        control.move("staging", 2)
        assert control.problem("PUT", STAGE, json={"ref": "2"}) == (403, "permission_denied")

    def test_another_key_and_other_files_are_refused_at_push(self, control: World, key: Path, tmp_path: Path) -> None:
        signing.new_key(tmp_path / "other.pem")
        control.store(b"r1")
        files = {"files": [{"path": "model.onnx", "size": 2, "sha256": sha256(b"r1")}]}
        for told, expected in (
            (signature(b"r1", tmp_path / "other.pem"), (403, "permission_denied")),
            (signature(b"r2", key), (502, "corrupt_artifact")),
            ("{}", (403, "permission_denied")),
        ):
            body = {"model": "iris", "manifest": files, "signature": told}
            assert control.problem("POST", "/v1/models/default/iris/versions", json=body) == expected

    def test_it_goes_back_only_if_that_is_said(self, control: World, key: Path) -> None:
        for content in (b"r1", b"r2"):
            number = control.push(content, signature=signature(content, key))["version"]
            control.move("production", number)
        assert control.problem("PUT", STAGE, json={"ref": "1"}) == (409, "conflict")
        assert control.ask("PUT", STAGE, json={"ref": "1", "allow_older": True}).json()["version"] == 1

    def test_a_key_that_is_not_trusted_any_more_opens_nothing(self, control: World, key: Path, tmp_path: Path) -> None:
        control.push(b"r1", signature=signature(b"r1", key))
        policy = {"signed_stages": ["production"], "trusted_keys": [signing.new_key(tmp_path / "new.pem")]}
        control.ask("PUT", "/v1/namespaces/default", json={"policy": policy})
        assert control.problem("PUT", STAGE, json={"ref": "1"}) == (403, "permission_denied")
