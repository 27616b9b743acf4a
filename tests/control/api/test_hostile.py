"""What nobody pushes by accident, through the API: archives, pickles in disguise, code without permission, YAML bombs.

Each is refused with a reason and what to do; nothing of it is stored for good, laid out outside, or run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shoal.control import signing
from shoal.core.registry import FileEntry, Manifest
from support.control_world import World, manifest, sha256
from support.hostile_archives import ONNX, ZipBuilder, corpus
from support.hostile_files import BOMBS, BYPASSES, CODE, PICKLES

VERSIONS = "/v1/models/default/iris/versions"


@pytest.fixture(autouse=True)
def _no_canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    assert not list(tmp_path.rglob("canary")), "code was run"


def refused(control: World, files: dict[str, bytes], status: int, code: str, **fields: Any) -> str:
    """Push files that are refused; what is told, hint and all."""
    for content in files.values():
        control.store(content)
    body = {"model": "iris", "manifest": manifest(**files), **fields}
    answer = control.ask("POST", VERSIONS, json=body)
    told = answer.json()
    assert (answer.status_code, told.get("code")) == (status, code), told
    assert told["hint"], told
    assert control.problem("GET", "/v1/models/default/iris") == (404, "not_found")
    assert os.listdir(control.control.settings.folder / "tmp") == []
    return f"{told['error']} | {told['hint']}"


def test_each_hostile_archive_is_refused_and_leaves_nothing(control: World, tmp_path: Path) -> None:
    before = sorted(path for path in tmp_path.rglob("*") if "registry.db" not in path.name)
    for hostile in corpus():
        answer = control.ask("POST", "/v1/archives", params={"name": hostile.name}, content=hostile.data)
        told = answer.json()
        assert answer.status_code in (400, 413), (hostile.label, told)
        assert hostile.told in told["error"], (hostile.label, told)
        assert told["hint"], hostile.label
    assert list(control.control.blobs.list()) == []
    assert sorted(path for path in tmp_path.rglob("*") if "registry.db" not in path.name) == before


@pytest.mark.parametrize("name", ["m__onnx", "m__ubj", "m__skops", "m__keras", "m__safetensors", "m__txt", "m__pt2"])
def test_a_pickle_in_disguise_is_refused(control: World, name: str) -> None:
    for data in (*PICKLES, *BYPASSES):
        told = refused(control, {name: data}, 400, "invalid_input")
        assert name.replace("__", ".") in told


@pytest.mark.parametrize(
    "data",
    [
        ZipBuilder().add("evil.pkl", PICKLES[4]).end(),
        b"7z\xbc\xaf\x27\x1c" + PICKLES[2],
        b"\x7fELF" + PICKLES[2],
        b"\x89HDF\r\n\x1a\n" + PICKLES[2],
    ],
    ids=["in a zip", "in a 7z", "in a program", "in HDF5"],
)
def test_what_a_pickle_hides_in_is_refused_as_well(control: World, data: bytes) -> None:
    assert "model.onnx" in refused(control, {"model__onnx": data}, 400, "invalid_input")


@pytest.mark.parametrize("data", [*PICKLES, *BYPASSES])
def test_no_pickle_gets_in_without_the_permission_whatever_it_holds(control: World, data: bytes) -> None:
    for name in ("model__pkl", "model__joblib"):
        told = refused(control, {name: data}, 403, "permission_denied", trust="code")
        assert "pickle" in told
        assert "--trust" in told


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"model__py": CODE}, "Python code"),
        ({"model__py": CODE, "model__yaml": b"implementation: model:M\n"}, "Python code"),
        ({"model__yaml": b"implementation: os:system\n"}, "Python code"),
        ({"MLmodel": b"flavors: {}\n", "python_model__pkl": PICKLES[4]}, "MLflow"),
        ({"model__pt": PICKLES[2]}, "pickled"),
        ({"model__onnx": ONNX, "model__yaml": b"runtime: onnx\napp: web:app\n", "web__py": CODE}, "app"),
    ],
    ids=["code", "a class", "a module", "MLflow", "PyTorch", "an app"],
)
def test_what_carries_code_needs_the_permission_and_is_not_run(
    control: World, files: dict[str, bytes], word: str
) -> None:
    told = refused(control, files, 403, "permission_denied")
    assert word in told
    assert "--trust" in told


def test_code_that_lies_beside_a_model_is_never_run(control: World) -> None:
    names = ("conftest__py", "sitecustomize__py", "setup__py", "evil__pth", "__init____py")
    for content in (ONNX, CODE):
        control.store(content)
    body = {"model": "iris", "manifest": manifest(model__onnx=ONNX, **dict.fromkeys(names[:4], CODE))}
    answer = control.ask("POST", VERSIONS, json=body)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["runtime"], answer.json()["trust"]) == ("onnx", "")


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_settings_file_that_is_a_bomb_is_refused_at_once(control: World, bomb: bytes) -> None:
    files = {"model__onnx": ONNX, "model__yaml": bomb}
    for content in files.values():
        control.store(content)
    before = time.process_time()
    assert "model.yaml" in refused(control, files, 400, "invalid_input")
    assert time.process_time() - before < 2.0


# Signatures


def signed(control: World, content: bytes, key: Path) -> dict[str, Any]:
    control.store(content)
    files = Manifest((FileEntry("model.onnx", len(content), sha256(content)),))
    return {"model": "iris", "manifest": manifest(model__onnx=content), "signature": signing.sign(files, key)}


@pytest.fixture
def key(control: World, tmp_path: Path) -> Path:
    """A trusted key, in a namespace whose production wants signatures."""
    path = tmp_path / "trusted.pem"
    policy = {"signed_stages": ["production"], "trusted_keys": [signing.new_key(path)]}
    assert control.ask("PUT", "/v1/namespaces/default", json={"policy": policy}).status_code == 200
    return path


def test_a_signature_of_other_files_or_of_another_key_is_refused_at_the_push(
    control: World, key: Path, tmp_path: Path
) -> None:
    signing.new_key(tmp_path / "stranger.pem")
    body = signed(control, b"\x08\x07one", tmp_path / "stranger.pem")
    assert control.problem("POST", VERSIONS, json=body) == (403, "permission_denied")
    body = signed(control, b"\x08\x07one", key)
    control.store(b"\x08\x07two")
    for changed in (
        {"manifest": manifest(model__onnx=b"\x08\x07two")},
        {"manifest": manifest(model__onnx=b"\x08\x07one", more__onnx=b"\x08\x07two")},
        {"manifest": manifest(other__onnx=b"\x08\x07one")},
    ):
        assert control.problem("POST", VERSIONS, json={**body, **changed}) == (502, "corrupt_artifact")
    for text in ("{}", "no signature", body["signature"].replace("dsseEnvelope", "dsse"), "[" * 10_000):
        assert control.problem("POST", VERSIONS, json={**body, "signature": text}) == (403, "permission_denied")
    assert control.problem("GET", "/v1/models/default/iris") == (404, "not_found")


def test_a_signed_stage_takes_what_is_signed_and_goes_back_only_when_told(control: World, key: Path) -> None:
    control.push(b"\x08\x07unsigned")
    for number in (2, 3):
        body = signed(control, b"\x08\x07%d" % number, key)
        assert control.ask("POST", VERSIONS, json=body).json()["version"] == number
    stage = "/v1/models/default/iris/stages/production"
    told = control.ask("PUT", stage, json={"ref": "1"})
    assert (told.status_code, told.json()["code"]) == (403, "permission_denied")
    assert "signature" in told.json()["error"]
    assert control.move("staging", "1")["version"] == 1, "another stage wants none"
    control.move("production", "3")
    told = control.ask("PUT", stage, json={"ref": "2"})
    assert (told.status_code, told.json()["code"]) == (409, "conflict")
    assert "go back from version 3 to 2" in told.json()["error"]
    assert "--allow-older" in told.json()["hint"]
    replayed = signed(control, b"\x08\x072", key)
    assert control.ask("POST", VERSIONS, json=replayed).json()["version"] == 4
    assert control.problem("PUT", stage, json={"ref": "4"}) == (409, "conflict"), "old files under a new number"
    assert control.ask("PUT", stage, json={"ref": "2", "allow_older": True}).json()["version"] == 2
