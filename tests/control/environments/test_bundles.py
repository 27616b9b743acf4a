"""Bundles: the same for the same content, and refused when anything in them has changed."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoal.control.environments import bundles
from shoal.control.environments.bundles import Contents
from shoal.control.environments.locks import Target
from shoal.core.errors import ConfigError, CorruptArtifact

TARGET = Target(python="cpython-3.11", platform="linux-x86_64", shoal="0.1.0", needs=())
CONTENTS = Contents(name="churn", target=TARGET, requirements=("a==1",), with_model=False)


def write(folder: Path, members: dict[str, bundles.Content]) -> Path:
    file = folder / "bundle.tar"
    bundles.write(file, CONTENTS, members)
    return file


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write(tmp_path, {"requirements.lock": b"a==1\n", "code/model.py": b"pass\n", "wheels/a.whl": b"\0" * 2000})


def test_the_same_content_is_the_same_bytes_whatever_its_files_are(tmp_path: Path) -> None:
    digests = []
    for name, mode, when in (("one", 0o600, 1), ("other", 0o755, 10**9)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "x").write_bytes(b"x")
        (folder / "x").chmod(mode)
        os.utime(folder / "x", (when, when))
        members: dict[str, bundles.Content] = {"code/b": b"b", "code/a": folder / "x"}
        ordered = members if name == "one" else dict(reversed(members.items()))
        digests.append(bundles.write(folder / "bundle.tar", CONTENTS, ordered))

    assert digests[0] == digests[1]
    assert (tmp_path / "one" / "bundle.tar").read_bytes() == (tmp_path / "other" / "bundle.tar").read_bytes()


def test_no_member_has_an_owner_a_time_or_rights_of_its_own(bundle: Path) -> None:
    with tarfile.open(bundle) as archive:
        members = archive.getmembers()

    assert [each.name for each in members] == ["manifest.json", "code/model.py", "requirements.lock", "wheels/a.whl"]
    assert {(each.uid, each.gid, each.mtime, each.mode) for each in members} == {(0, 0, 0, 0o644)}


def test_what_was_written_is_verified_read_and_unpacked(bundle: Path, tmp_path: Path) -> None:
    contents = bundles.verify(bundle)

    assert msgspec.structs.replace(contents, files=()) == CONTENTS
    assert bundles.read_member(bundle, "requirements.lock") == b"a==1\n"
    with bundles.unpacked(bundle, tmp_path) as folder:
        assert (folder / "code" / "model.py").read_bytes() == b"pass\n"
    assert not folder.exists()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_239), change=st.integers(1, 255))
def test_a_changed_byte_is_noticed_unless_it_means_nothing(bundle: Path, at: int, change: int) -> None:
    whole = bundle.read_bytes()
    changed = bytearray(whole)
    changed[at % len(whole)] ^= change
    other = bundle.with_name("changed.tar")
    other.write_bytes(changed)
    try:
        contents = bundles.verify(other)
    except (ConfigError, CorruptArtifact):
        return
    assert {each.path: bundles.read_member(other, each.path) for each in contents.files} == {
        each.path: bundles.read_member(bundle, each.path) for each in bundles.verify(bundle).files
    }


@pytest.mark.parametrize("cut", [0, 1, 600, 4000])
def test_a_cut_bundle_is_refused(bundle: Path, cut: int) -> None:
    bundle.write_bytes(bundle.read_bytes()[:cut])

    with pytest.raises(CorruptArtifact, match="not what was built"):
        bundles.verify(bundle)


def add(bundle: Path, member: tarfile.TarInfo, content: bytes = b"") -> None:
    with tarfile.open(bundle, "a") as archive:
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def test_a_member_that_the_manifest_does_not_name_is_refused(bundle: Path) -> None:
    add(bundle, tarfile.TarInfo("code/more.py"), b"more")

    with pytest.raises(CorruptArtifact, match="more than its manifest says"):
        bundles.verify(bundle)


@pytest.mark.parametrize("name", ["../evil", "/evil", "code/../../evil", "code//x", "./x"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    file = write(tmp_path, {name: b"evil"})

    with pytest.raises(CorruptArtifact):
        bundles.unpack(file, tmp_path / "out")
    assert not (tmp_path / "evil").exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, {"code/x": b""})
    with tarfile.open(file) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        text = manifest.read()
    with tarfile.open(file, "w") as archive:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
        link = tarfile.TarInfo("code/x")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)

    with pytest.raises(CorruptArtifact, match="does not hold 'code/x'"):
        bundles.verify(file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        bundles.verify(tmp_path / "nothing.tar")


@pytest.mark.parametrize("field", ["python", "platform", "shoal"])
def test_a_bundle_for_something_else_is_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=r"was built for .* elsewhere"):
        bundles.require_target(
            msgspec.structs.replace(CONTENTS, target=msgspec.structs.replace(TARGET, **{field: "elsewhere"})), TARGET
        )
    bundles.require_target(CONTENTS, TARGET)
