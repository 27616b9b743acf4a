"""Signing and verifying, with the real library and without a network."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.signing import new_key, sign, sign_folder, verify, verify_folder
from shoal.control.signing.claims import read_claim
from shoal.control.signing.signatures import manifest_of
from shoal.core.errors import ConfigError, CorruptArtifact, PermissionDenied, Unavailable
from shoal.core.registry import Manifest

try:
    import model_signing.signing  # noqa: F401
except ImportError as error:
    told = f"signatures cannot be tested: {error.name} is not installed"
    if os.environ.get("CI"):
        raise
    pytest.skip(told, allow_module_level=True)


class Signed(NamedTuple):
    folder: Path
    key: Path
    public: str
    text: str


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("signatures must not need a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    folder = tmp_path / "iris"
    (folder / "deep").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"weights" * 1000)
    (folder / "deep" / "tokens.txt").write_text("a b c")
    (folder / ".gitattributes").write_text("*.onnx filter=lfs")
    public = new_key(tmp_path / "key.pem")
    return Signed(folder, tmp_path / "key.pem", public, sign_folder(folder, tmp_path / "key.pem"))


def test_what_was_signed_is_valid(signed: Signed) -> None:
    verify_folder(signed.folder, signed.text, (signed.public,))
    verify(manifest_of(signed.folder), signed.text, [signed.public])


def test_any_of_several_trusted_keys_will_do(signed: Signed, tmp_path: Path) -> None:
    others = tuple(new_key(tmp_path / f"other{index}") for index in range(3))
    verify_folder(signed.folder, signed.text, (*others, signed.public))


def test_the_name_of_the_folder_and_the_order_of_files_do_not_matter(signed: Signed, tmp_path: Path) -> None:
    signed.folder.rename(tmp_path / "elsewhere")
    files = manifest_of(tmp_path / "elsewhere").files
    verify(Manifest(tuple(reversed(files))), signed.text, (signed.public,))


def test_times_and_modes_are_no_part_of_an_artifact(signed: Signed) -> None:
    (signed.folder / "model.onnx").chmod(0o700)
    os.utime(signed.folder / "model.onnx", (1, 1))
    verify_folder(signed.folder, signed.text, (signed.public,))


def _append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"!")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)


def _swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


TAMPERINGS: list[tuple[str, Callable[[Path], object], str]] = [
    ("changed", lambda f: _flip(f / "model.onnx"), "changed: 'model.onnx'"),
    ("longer", lambda f: _append(f / "deep/tokens.txt"), "changed: 'deep/tokens.txt'"),
    ("emptied", lambda f: (f / "model.onnx").write_bytes(b""), "changed: 'model.onnx'"),
    ("swapped", lambda f: _swap(f / "model.onnx", f / "deep/tokens.txt"), "changed: 'deep/tokens.txt', 'model.onnx'"),
    ("file of git changed", lambda f: _append(f / ".gitattributes"), "changed: '.gitattributes'"),
    ("extra", lambda f: (f / "extra.py").write_text("x"), "not signed: 'extra.py'"),
    ("extra in a folder", lambda f: (f / "deep/extra").write_text("x"), "not signed: 'deep/extra'"),
    ("extra and hidden", lambda f: (f / ".hidden").write_text("x"), "not signed: '.hidden'"),
    ("extra of git", lambda f: (f / ".gitignore").write_text("x"), "not signed: '.gitignore'"),
    ("extra empty file", lambda f: (f / "empty").touch(), "not signed: 'empty'"),
    ("removed", lambda f: (f / "model.onnx").unlink(), "signed but missing: 'model.onnx'"),
    (
        "renamed",
        lambda f: (f / "model.onnx").rename(f / "m.onnx"),
        "not signed: 'm.onnx'; signed but missing: 'model.onnx'",
    ),
    ("renamed by case", lambda f: (f / "model.onnx").rename(f / "Model.onnx"), "not signed: 'Model.onnx'"),
    ("moved", lambda f: (f / "deep/tokens.txt").rename(f / "tokens.txt"), "not signed: 'tokens.txt'"),
    ("folder renamed", lambda f: (f / "deep").rename(f / "deeper"), "not signed: 'deeper/tokens.txt'"),
    ("link instead", lambda f: ((f / "model.onnx").rename(f / "x"), (f / "model.onnx").symlink_to("x")), "a link"),
    ("extra link", lambda f: (f / "link").symlink_to("/etc/passwd"), "link is a link"),
    ("extra dangling link", lambda f: (f / "link").symlink_to("nowhere"), "link is a link"),
    ("link to a folder", lambda f: (f / "more").symlink_to(f / "deep"), "more is a link"),
    ("pipe", lambda f: os.mkfifo(f / "pipe"), "pipe is a link or a special file"),
]


@pytest.mark.parametrize(("change", "told"), [each[1:] for each in TAMPERINGS], ids=[each[0] for each in TAMPERINGS])
def test_a_change_of_the_files_is_found_and_named(signed: Signed, change: Callable[[Path], object], told: str) -> None:
    change(signed.folder)
    with pytest.raises(CorruptArtifact) as caught:
        verify_folder(signed.folder, signed.text, (signed.public,))
    assert told in str(caught.value)


def test_an_empty_folder_is_not_what_was_signed(signed: Signed) -> None:
    with pytest.raises(CorruptArtifact, match="signed but missing"):
        verify(Manifest(()), signed.text, (signed.public,))


def test_many_differences_are_summed_up(signed: Signed) -> None:
    for index in range(20):
        (signed.folder / f"extra{index}").touch()
    with pytest.raises(CorruptArtifact, match="and 15 more"):
        verify_folder(signed.folder, signed.text, (signed.public,))


def test_a_folder_that_is_not_there(signed: Signed, tmp_path: Path) -> None:
    with pytest.raises(CorruptArtifact, match="cannot be read"):
        verify_folder(tmp_path / "absent", signed.text, (signed.public,))


def _edit(text: str, change: Callable[[dict[str, Any]], object]) -> str:
    bundle = json.loads(text)
    change(bundle)
    return json.dumps(bundle)


def _edit_payload(text: str, change: Callable[[dict[str, Any]], object]) -> str:
    def inside(bundle: dict[str, Any]) -> None:
        statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        change(statement)
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()

    return _edit(text, inside)


def _resources(statement: dict[str, Any]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = statement["predicate"]["resources"]
    return found


FORGERIES: list[tuple[str, Callable[[str], str]]] = [
    ("white space in the payload", lambda t: _edit_payload(t, lambda s: None)),
    ("another digest", lambda t: _edit_payload(t, lambda s: _resources(s)[0].update(digest="00" * 32))),
    ("digest that is none", lambda t: _edit_payload(t, lambda s: _resources(s)[0].update(digest="xyz"))),
    ("a file less", lambda t: _edit_payload(t, lambda s: _resources(s).pop())),
    ("no files", lambda t: _edit_payload(t, lambda s: _resources(s).clear())),
    ("a file more", lambda t: _edit_payload(t, lambda s: _resources(s).append({**_resources(s)[0], "name": "new"}))),
    ("ignored paths", lambda t: _edit_payload(t, lambda s: s["predicate"]["serialization"].update(ignore_paths=["."]))),
    ("no subject", lambda t: _edit_payload(t, lambda s: s.pop("subject"))),
    ("two subjects", lambda t: _edit_payload(t, lambda s: s["subject"].append(s["subject"][0]))),
    ("no signature", lambda t: _edit(t, lambda b: b["dsseEnvelope"]["signatures"][0].update(sig=""))),
    ("noise as signature", lambda t: _edit(t, lambda b: b["dsseEnvelope"]["signatures"][0].update(sig="AAAA"))),
    ("signature not base64", lambda t: _edit(t, lambda b: b["dsseEnvelope"]["signatures"][0].update(sig="*"))),
    ("another type of payload", lambda t: _edit(t, lambda b: b["dsseEnvelope"].update(payloadType="text/plain"))),
    ("another type of bundle", lambda t: _edit(t, lambda b: b.update(mediaType="application/json"))),
    ("no type of bundle", lambda t: _edit(t, lambda b: b.pop("mediaType"))),
    ("no type of payload", lambda t: _edit(t, lambda b: b["dsseEnvelope"].pop("payloadType"))),
    ("entries of a log that are none", lambda t: _edit(t, lambda b: b["verificationMaterial"].update(tlogEntries=[1]))),
]


@pytest.mark.parametrize("forge", [each[1] for each in FORGERIES], ids=[each[0] for each in FORGERIES])
def test_an_altered_signature_is_not_genuine(signed: Signed, forge: Callable[[str], str]) -> None:
    text = forge(signed.text)
    with pytest.raises(PermissionDenied, match="not genuine"):
        verify_folder(signed.folder, text, (signed.public,))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, str, str]:
    room = tmp_path_factory.mktemp("sample")
    (room / "files").mkdir()
    (room / "files" / "model.onnx").write_bytes(b"weights")
    public = new_key(room / "key.pem")
    return manifest_of(room / "files"), sign_folder(room / "files", room / "key.pem"), public


@given(data=st.data(), replacement=st.characters(codec="utf-8"), also_removed=st.integers(0, 3))
def test_a_signature_with_any_character_changed_says_the_same_or_is_refused(
    sample: tuple[Manifest, str, str], data: st.DataObject, replacement: str, also_removed: int
) -> None:
    manifest, text, public = sample
    place = data.draw(st.integers(0, len(text) - 1))
    altered = text[:place] + replacement + text[place + 1 + also_removed :]
    try:
        verify(manifest, altered, (public,))
    except (PermissionDenied, CorruptArtifact):
        return
    assert read_claim(altered) == read_claim(text)


def test_signed_by_another_key(signed: Signed, tmp_path: Path) -> None:
    new_key(tmp_path / "mallory.pem")
    text = sign_folder(signed.folder, tmp_path / "mallory.pem")
    with pytest.raises(PermissionDenied, match="not trusted here"):
        verify_folder(signed.folder, text, (signed.public,))
    hint = json.loads(signed.text)["verificationMaterial"]["publicKey"]["hint"]
    disguised = _edit(text, lambda b: b["verificationMaterial"]["publicKey"].update(hint=hint))
    with pytest.raises(PermissionDenied, match="not genuine"):
        verify_folder(signed.folder, disguised, (signed.public,))


def test_a_signature_of_other_files_is_not_one_of_these(signed: Signed, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.onnx").write_bytes(b"other")
    text = sign_folder(tmp_path / "other", signed.key)
    with pytest.raises(CorruptArtifact, match=r"changed: 'model.onnx'"):
        verify_folder(signed.folder, text, (signed.public,))


def test_a_key_that_is_not_trusted_any_more(signed: Signed) -> None:
    with pytest.raises(PermissionDenied, match="no key is trusted here"):
        verify_folder(signed.folder, signed.text, ())


def test_the_signature_file_is_no_part_of_what_is_signed(signed: Signed) -> None:
    (signed.folder / "model.sig").write_text(signed.text)
    with pytest.raises(CorruptArtifact, match=r"not signed: 'model.sig'"):
        verify_folder(signed.folder, signed.text, (signed.public,))


def test_nothing_cannot_be_signed(signed: Signed) -> None:
    with pytest.raises(ConfigError, match="nothing to sign"):
        sign(Manifest(()), signed.key)


def test_the_private_key_is_in_no_signature_and_no_temporary_file(
    signed: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "tmp"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    text = sign_folder(signed.folder, signed.key)
    verify_folder(signed.folder, text, (signed.public,))
    assert signed.key.read_text().splitlines()[1] not in text
    assert list(room.iterdir()) == []


def test_without_room_for_temporary_files_nothing_is_taken_for_valid(
    signed: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(Unavailable, match="the folder for temporary files"):
        verify_folder(signed.folder, signed.text, (signed.public,))


def test_without_the_library_it_says_what_to_install(signed: Signed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "shoal.control.signing.library")
    monkeypatch.delattr("shoal.control.signing.library")
    monkeypatch.setitem(sys.modules, "model_signing", None)
    monkeypatch.setitem(sys.modules, "model_signing.manifest", None)
    with pytest.raises(ConfigError, match="signatures need model_signing") as caught:
        sign_folder(signed.folder, signed.key)
    assert caught.value.hint == "pip install 'shoal[signing]'"


def _command(*arguments: object) -> None:
    command = [sys.executable, "-m", "model_signing", *(str(each) for each in arguments)]
    subprocess.run(command, check=True, capture_output=True, timeout=50)


@pytest.mark.process
def test_the_command_of_the_library_understands_ours_and_we_its(signed: Signed, tmp_path: Path) -> None:
    (signed.folder / ".gitattributes").unlink()
    (tmp_path / "public.pem").write_text(signed.public)
    ours, theirs = tmp_path / "ours.sig", tmp_path / "theirs.sig"
    ours.write_text(sign_folder(signed.folder, signed.key))
    _command("verify", "key", signed.folder, "--signature", ours, "--public_key", tmp_path / "public.pem")
    _command("sign", "key", signed.folder, "--signature", theirs, "--private_key", signed.key)
    verify_folder(signed.folder, theirs.read_text(), (signed.public,))
    (signed.folder / ".gitignore").write_text("left out by their signature, not by us")
    with pytest.raises(CorruptArtifact, match=r"not signed: '.gitignore'"):
        verify_folder(signed.folder, theirs.read_text(), (signed.public,))
