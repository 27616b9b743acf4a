"""Files through the API: stored under their digests, verified, streamed back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.control_world import World, manifest, sha256


def test_a_file_comes_back_as_it_was(control: World) -> None:
    content = bytes(range(256)) * 5000
    name = control.store(content)
    answer = control.ask("GET", f"/v1/blobs/{name}")
    assert answer.content == content
    assert answer.headers["etag"] == f'"{name}"'
    assert [control.ask("HEAD", f"/v1/blobs/{each}").status_code for each in (name, sha256(b"none"))] == [200, 404]


def test_storing_again_changes_nothing(control: World) -> None:
    assert control.store(b"hello") == control.store(b"hello")


@pytest.mark.parametrize("sent", [b"hellx", b"hello!", b"hell", b""])
def test_other_content_than_the_name_says_is_refused(control: World, sent: bytes) -> None:
    name = sha256(b"hello")
    assert control.problem("PUT", f"/v1/blobs/{name}", content=sent) == (502, "corrupt_artifact")
    assert control.ask("HEAD", f"/v1/blobs/{name}").status_code == 404


def test_a_length_is_wanted(control: World) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"hello"

    assert control.problem("PUT", f"/v1/blobs/{sha256(b'hello')}", content=pieces()) == (400, "invalid_input")


@pytest.mark.parametrize("name", ["x", "..", "A" * 64, "a" * 63, "%2e%2e%2f" + "a" * 55])
def test_names_that_are_no_digests(control: World, name: str) -> None:
    assert control.problem("PUT", f"/v1/blobs/{name}", content=b"")[0] in (400, 404)


def test_what_is_missing_is_told_once(control: World) -> None:
    there, absent = control.store(b"there"), sha256(b"absent")
    asked = {"digests": [there, absent, absent]}
    assert control.ask("POST", "/v1/blobs/missing", json=asked).json() == {"digests": [absent]}
    assert control.problem("POST", "/v1/blobs/missing", json={"digests": ["../x"]})[0] == 400


def test_a_manifest_is_found_by_its_digest(control: World) -> None:
    version = control.push(b"r1")
    assert control.get(f"/v1/manifests/{version['digest']}") == manifest(model__onnx=b"r1")
    assert control.problem("GET", f"/v1/manifests/{sha256(b'none')}") == (404, "not_found")
