"""What is taken in: files, folders and archives, with their natures, checksums and notes."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import pickle
import shutil
import socket
import stat
import struct
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from shoal.control.artifacts.intake import Budget, Intake, take_in
from shoal.core.errors import Conflict, CorruptArtifact, InvalidInput, NotFound, ShoalError, StorageFull
from support.hostile_archives import ONNX, TarBuilder, ZipBuilder, deflate
from support.tools import needs

FILES = {"model.onnx": ONNX, "sub/vocab.txt": b"a\nb\n", "sub/empty.bin": b""}


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def content(taken: Intake) -> dict[str, bytes]:
    found = {entry.path: (taken.folder / entry.path).read_bytes() for entry in taken.manifest.files}
    assert all(
        entry.sha256 == hashlib.sha256(found[entry.path]).hexdigest() and entry.size == len(found[entry.path])
        for entry in taken.manifest.files
    )
    on_disk = {str(path.relative_to(taken.folder)) for path in taken.folder.rglob("*") if path.is_file()}
    assert on_disk == set(found)
    return found


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("top", [".", "iris", ""])
def test_tar_archives_of_pythons_own(tmp_path: Path, mode: str, form: int, top: str) -> None:
    folder = lay(tmp_path / "in", {**FILES, f"{'d' * 90}/{'é' * 40}.txt": b"long"})
    name = f"iris.tar{mode[1:].replace(':', '.')}"
    with tarfile.open(tmp_path / name, mode, format=form) as archive:  # type: ignore[call-overload]
        for path in [folder] if top else sorted(folder.iterdir()):
            archive.add(path, arcname=top or path.name)
    taken = take_in(tmp_path / name, tmp_path / "staging")
    assert content(taken) == {**FILES, f"{'d' * 90}/{'é' * 40}.txt": b"long"}
    assert (taken.runtime, taken.code, taken.notes) == ("onnx", "", ())


@pytest.mark.parametrize(
    "options", [["-cf"], ["-czf"], ["-cjf"], ["-cJf"], ["--format=posix", "-cf"], ["--format=v7", "-cf"]]
)
def test_tar_archives_of_the_systems_own(tmp_path: Path, options: list[str]) -> None:
    folder = lay(tmp_path / "in", FILES)
    ending, packer = {"z": (".tar.gz", "gzip"), "j": (".tar.bz2", "bzip2"), "J": (".tar.xz", "xz")}.get(
        options[-1][2:3], (".tar", "tar")
    )
    needs(packer)
    subprocess.run([needs("tar"), *options, tmp_path / f"a{ending}", "-C", folder, "."], check=True)
    assert content(take_in(tmp_path / f"a{ending}", tmp_path / "staging")) == FILES


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("large", [False, True])
def test_zip_archives_of_pythons_own(tmp_path: Path, method: int, streamed: bool, large: bool) -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *arguments: int) -> int:
            raise OSError

        def tell(self) -> int:
            raise OSError

    out = Unseekable() if streamed else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.comment = b"1234567890abcdef"
        archive.writestr(zipfile.ZipInfo("sub/"), b"")
        for path, data in FILES.items():
            with archive.open(path, "w", force_zip64=large) as file:
                file.write(data)
    (tmp_path / "a.zip").write_bytes(out.getvalue())
    assert content(take_in(tmp_path / "a.zip", tmp_path / "staging")) == FILES


def test_a_zip_archive_with_large_records(tmp_path: Path) -> None:
    """As archives of more than 4 GB have them."""
    packed = deflate(ONNX)
    local_extra = struct.pack("<HHQQ", 1, 16, len(ONNX), len(packed))
    crc = zlib.crc32(ONNX)
    full = 0xFFFFFFFF
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 8, 0, 0, crc, full, full, 6, len(local_extra))
    body = local + b"a.onnx" + local_extra + packed
    extra = struct.pack("<HHQQQ", 1, 24, len(ONNX), len(packed), 0)
    central = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 45, 45, 0, 8, 0, 0, crc, full, full, 6, len(extra), 0, 0, 0, 0, full
    )
    directory = central + b"a.onnx" + extra
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(directory), len(body))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(body) + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, full, full, 0)
    (tmp_path / "a.zip").write_bytes(body + directory + end64 + locator + end)
    assert content(take_in(tmp_path / "a.zip", tmp_path / "staging")) == {"a.onnx": ONNX}
    (tmp_path / "b.zip").write_bytes(body + directory + b"x" + end64 + locator + end)
    with pytest.raises(InvalidInput, match="damaged end"):
        take_in(tmp_path / "b.zip", tmp_path / "staging2")


def test_packed_streams_one_after_the_other_are_one(tmp_path: Path) -> None:
    data = TarBuilder().add("a.onnx", ONNX).end()
    for ending, pack in (("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)):
        (tmp_path / f"a.tar.{ending}").write_bytes(pack(data[:700]) + pack(data[700:]))
        assert content(take_in(tmp_path / f"a.tar.{ending}", tmp_path / ending)) == {"a.onnx": ONNX}


@pytest.mark.parametrize("name", ["model.skops", "model.keras", "model.pt2", "model.npz"])
def test_model_files_that_are_zip_archives_are_taken_as_they_are(tmp_path: Path, name: str) -> None:
    data = ZipBuilder().add("schema.json", b"{}").end()
    (tmp_path / "upload").write_bytes(data)
    taken = take_in(tmp_path / "upload", tmp_path / "staging", name=name, model=False)
    assert content(taken) == {name: data}


def test_a_single_file_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "upload-123").write_bytes(ONNX)
    taken = take_in(tmp_path / "upload-123", tmp_path / "staging", name="iris.onnx")
    assert content(taken) == {"iris.onnx": ONNX}
    assert taken.runtime == "onnx"


def test_an_archive_is_told_by_its_content_when_its_name_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(gzip.compress(TarBuilder().add("a.onnx", ONNX).end()))
    assert content(take_in(tmp_path / "archive", tmp_path / "staging")) == {"a.onnx": ONNX}


def test_an_archive_within_an_archive_is_a_file(tmp_path: Path) -> None:
    inner = ZipBuilder().add("../evil", b"x").end()
    (tmp_path / "a.tar").write_bytes(TarBuilder().add("a.onnx", ONNX).add("inner.zip", inner).end())
    assert content(take_in(tmp_path / "a.tar", tmp_path / "staging"))["inner.zip"] == inner


def test_modes_of_archives_are_not_kept(tmp_path: Path) -> None:
    tar = TarBuilder().add("a.onnx", ONNX, mode=0o6777).end()
    (tmp_path / "a.tar").write_bytes(tar)
    (tmp_path / "a.zip").write_bytes(ZipBuilder().add("a.onnx", ONNX, mode=stat.S_IFREG | 0o6777).end())
    for name in ("a.tar", "a.zip"):
        taken = take_in(tmp_path / name, tmp_path / f"staging-{name}")
        assert stat.S_IMODE((taken.folder / "a.onnx").stat().st_mode) & 0o7111 == 0


def test_folders_leave_out_what_is_hidden(tmp_path: Path) -> None:
    folder = lay(tmp_path / "in", {**FILES, ".git/config": b"x", "sub/__pycache__/a.pyc": b"x", ".env": b"secret"})
    (folder / ".git" / "link").symlink_to("/etc")
    taken = take_in(folder, tmp_path / "staging")
    assert content(taken) == FILES
    assert taken.notes == ("left out: .env, .git, sub/__pycache__",)


def test_archives_leave_out_the_same(tmp_path: Path) -> None:
    tar = TarBuilder().add("a.onnx", ONNX).add("__MACOSX/._a.onnx", b"x").add(".DS_Store", b"x").end()
    (tmp_path / "a.tar").write_bytes(tar)
    taken = take_in(tmp_path / "a.tar", tmp_path / "staging")
    assert content(taken) == {"a.onnx": ONNX}
    assert taken.notes == ("left out: __MACOSX/._a.onnx, .DS_Store",)


@pytest.mark.parametrize("kind", ["link out", "link within", "pipe", "socket", "folder link"])
def test_folders_hold_plain_files_only(tmp_path: Path, kind: str) -> None:
    folder = lay(tmp_path / "in", FILES)
    strange = folder / "strange"
    if kind == "pipe":
        os.mkfifo(strange)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(strange))
    else:
        strange.symlink_to({"link out": "/etc/passwd", "link within": "model.onnx", "folder link": "/etc"}[kind])
    with pytest.raises(InvalidInput, match=r"'strange' is a (symbolic link|pipe|socket)"):
        take_in(folder, tmp_path / "staging")
    assert sorted(os.listdir(tmp_path)) == ["in"]


def test_what_is_not_there_or_empty_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for source, kind in (("nothing", NotFound), ("pipe", NotFound), ("empty", InvalidInput)):
        with pytest.raises(kind):
            take_in(tmp_path / source, tmp_path / "staging")
    (tmp_path / "empty.zip").write_bytes(ZipBuilder().end())
    (tmp_path / "empty.tar").write_bytes(TarBuilder().end())
    for source in ("empty.zip", "empty.tar"):
        with pytest.raises(InvalidInput, match="no files"):
            take_in(tmp_path / source, tmp_path / "staging")
    assert not (tmp_path / "staging").exists()


def test_a_staging_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    lay(tmp_path, {"staging/mine": b"mine", "a.onnx": ONNX})
    with pytest.raises(Conflict):
        take_in(tmp_path / "a.onnx", tmp_path / "staging")
    assert os.listdir(tmp_path / "staging") == ["mine"]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from shoal.control.artifacts.intake import staging

    def full(descriptor: int, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging, "write_all", full)
    lay(tmp_path, {"a.onnx": ONNX})
    with pytest.raises(StorageFull, match="no room"):
        take_in(tmp_path / "a.onnx", tmp_path / "staging")
    assert os.listdir(tmp_path) == ["a.onnx"]


def sums(files: dict[str, bytes]) -> bytes:
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in files.items()).encode()


@pytest.mark.parametrize("where", ["archive", "folder", "given"])
def test_checksums_are_compared(tmp_path: Path, where: str) -> None:
    expected = {path: hashlib.sha256(data).hexdigest() for path, data in FILES.items()}
    folder = lay(tmp_path / "in", FILES if where == "given" else {**FILES, "SHA256SUMS": sums(FILES)})
    source = folder
    if where == "archive":
        source = Path(shutil.make_archive(str(tmp_path / "a"), "gztar", tmp_path, "in"))
    given = expected if where == "given" else None
    taken = take_in(source, tmp_path / "staging", expected=given, require_checksums=True)
    assert content(taken) == FILES, "the list itself is none of the model's files"


@pytest.mark.parametrize(
    ("listed", "kind", "told"),
    [
        (sums({**FILES, "model.onnx": b"other"}), CorruptArtifact, "'model.onnx' is not what its checksum says"),
        (sums({"model.onnx": ONNX}), InvalidInput, "has no checksum"),
        (sums({**FILES, "more.txt": b""}), InvalidInput, "'more.txt' has a checksum, and is not there"),
        (sums({**FILES, "../../etc/passwd": b""}), InvalidInput, "leads upwards"),
        (sums(FILES) + sums(FILES), InvalidInput, "is twice in SHA256SUMS"),
        (b"what is this", InvalidInput, "line 1 of SHA256SUMS is no checksum"),
        (b"\xff\xfe", InvalidInput, "line 1"),
    ],
)
def test_checksums_that_differ_refuse_the_whole(
    tmp_path: Path, listed: bytes, kind: type[ShoalError], told: str
) -> None:
    folder = lay(tmp_path / "in", {**FILES, "SHA256SUMS": listed})
    with pytest.raises(kind, match=told) as caught:
        take_in(folder, tmp_path / "staging")
    assert caught.value.hint
    assert os.listdir(tmp_path) == ["in"]


def test_missing_checksums_are_told_when_required(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="without checksums") as caught:
        take_in(lay(tmp_path / "in", FILES), tmp_path / "staging", require_checksums=True)
    assert "sha256sum" in caught.value.hint


class Canary:
    """Unpickling it would leave a trace."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch canary",)


PICKLES = [pickle.dumps(Canary(), protocol) for protocol in range(6)]


@pytest.mark.parametrize(
    "name", ["m.onnx", "m.ubj", "m.json", "m.skops", "m.keras", "m.safetensors", "m.txt", "m.pt2", "saved_model.pb"]
)
@pytest.mark.parametrize("protocol", range(6))
def test_a_disguised_pickle_is_refused(tmp_path: Path, name: str, protocol: int) -> None:
    folder = lay(tmp_path / "in", {name: PICKLES[protocol], "other.onnx": ONNX})
    with pytest.raises(InvalidInput, match=name):
        take_in(folder, tmp_path / "staging", model=False)
    assert os.listdir(tmp_path) == ["in"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("m.onnx", ZipBuilder().add("evil.pkl", PICKLES[4]).end()),
        ("m.txt", ZipBuilder().add("evil.pkl", PICKLES[4]).end()),
        ("m.pb", ZipBuilder().add("evil.pkl", PICKLES[4]).end()),
        ("m.safetensors", gzip.compress(b"x")),
        ("m.onnx", b"7z\xbc\xaf\x27\x1c" + bytes(100)),
        ("m.onnx", b"\x7fELF" + bytes(100)),
        ("m.onnx", b"#!/bin/sh\n"),
        ("m.onnx", b""),
        ("m.onnx", b"text"),
        ("m.skops", gzip.compress(b"x")),
        ("m.skops", b"\x89HDF\r\n\x1a\n"),
        ("m.keras", b"\x89HDF\r\n\x1a\n"),
        ("m.ubj", b"\x1f\x8b\x08\x00"),
        ("m.json", b"(dp0\nS'a'\n."),
        ("m.yaml", PICKLES[2]),
    ],
)
def test_other_disguises_are_refused(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"is called \.[a-z]+, and is"):
        take_in(lay(tmp_path / "in", {name: data}), tmp_path / "staging", model=False)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("labels.txt", b"cat\ndog\nfish\n"),
        ("labels.txt", b"iris\nrose\n(other)\n"[5:]),
        ("labels.txt", b"(d\nMZ is a country\nBZh1\n"),
        ("labels.txt", b"MZ is short for Mozambique, and this line is longer than sixty characters"),
        ("labels.txt", b"BZh9 is a word"),
        ("model.yaml", b"# a comment\ndescription: text\n"),
        ("README.md", b"#! is not looked at here"),
        ("config.json", b"\xef\xbb\xbf {}"),
        ("values.json", b"-1"),
        ("empty.txt", b""),
    ],
)
def test_ordinary_files_are_not_taken_for_others(tmp_path: Path, name: str, data: bytes) -> None:
    folder = lay(tmp_path / "in", {name: data, "m.onnx": ONNX})
    assert take_in(folder, tmp_path / "staging").runtime == "onnx"


@pytest.mark.parametrize(
    ("files", "runtime", "code"),
    [
        ({"m.pkl": PICKLES[4]}, "sklearn", "is a pickle"),
        ({"m.joblib": PICKLES[2]}, "sklearn", "is a pickle"),
        ({"model.py": b"import os; os.system('touch canary')"}, "python", "is Python code"),
        ({"MLmodel": b"flavors: {}", "python_model.pkl": PICKLES[4]}, "mlflow", "is an MLflow model"),
        ({"m.pt": PICKLES[2]}, "torch", "is a pickled PyTorch object"),
        ({"m.onnx": ONNX, "conftest.py": b"raise SystemExit"}, "onnx", ""),
        ({"m.onnx": ONNX, "model.yaml": b"app: web:app\n", "web.py": b""}, "onnx", "has an app"),
        ({"m.pkl": PICKLES[4], "model.yaml": b"app: web:app\n", "web.py": b""}, "sklearn", "is a pickle"),
        (
            {
                "model.yaml": b"runtime: onnx\npath: a.onnx\n",
                "a.onnx": ONNX,
                "b.skops": ZipBuilder().end()[:0] or b"PK\x03\x04",
            },
            "onnx",
            "",
        ),
    ],
)
def test_natures_are_told_and_no_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], runtime: str, code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    taken = take_in(lay(tmp_path / "in", files), tmp_path / "staging")
    assert taken.runtime == runtime
    assert taken.code.startswith(code)
    assert bool(taken.code) == bool(code)
    assert not (tmp_path / "canary").exists()


def test_files_that_are_no_model_are_told_or_allowed(tmp_path: Path) -> None:
    folder = lay(tmp_path / "in", {"notes.md": b"text"})
    with pytest.raises(InvalidInput, match=r"^the artifact holds no model: there is notes.md") as caught:
        take_in(folder, tmp_path / "staging")
    assert "known:" in caught.value.hint
    assert str(tmp_path) not in str(caught.value)
    taken = take_in(folder, tmp_path / "staging", model=False)
    assert (taken.runtime, taken.code) == ("", "")


def test_a_wrong_model_yaml_is_told(tmp_path: Path) -> None:
    folder = lay(tmp_path / "in", {"m.onnx": ONNX, "model.yaml": b"runtmie: onnx\n"})
    with pytest.raises(InvalidInput, match="runtmie"):
        take_in(folder, tmp_path / "staging")


def test_many_small_files_are_within_the_default_budget(tmp_path: Path) -> None:
    tar = TarBuilder().add("a.onnx", ONNX)
    for number in range(2_000):
        tar.add(f"files/{number}", b"x")
    (tmp_path / "a.tar").write_bytes(tar.end())
    assert len(take_in(tmp_path / "a.tar", tmp_path / "staging", budget=Budget()).manifest.files) == 2_001


def test_a_staging_folder_is_its_owners_alone(tmp_path: Path) -> None:
    lay(tmp_path, {"a.onnx": ONNX})
    taken = take_in(tmp_path / "a.onnx", tmp_path / "deep" / "staging")
    assert stat.S_IMODE(taken.folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("count", [10, 11])
def test_of_many_files_that_were_left_out_the_first_are_named(tmp_path: Path, count: int) -> None:
    folder = lay(tmp_path / "in", {"a.onnx": ONNX, **{f".{number:02}": b"x" for number in range(count)}})
    (note,) = take_in(folder, tmp_path / "staging").notes
    assert note == "left out: " + ", ".join(f".{number:02}" for number in range(10)) + (", ..." if count > 10 else "")


def archives() -> dict[str, bytes]:
    tar = TarBuilder().add("a.onnx", ONNX).end()
    return {
        "tar": tar,
        "gzip": gzip.compress(tar),
        "bzip2": bz2.compress(tar),
        "xz": lzma.compress(tar),
        "zip": ZipBuilder().add("a.onnx", ONNX).end(),
    }


@pytest.mark.parametrize("kind", archives())
def test_every_archive_is_told_by_its_content_and_must_be_what_its_name_says(tmp_path: Path, kind: str) -> None:
    for name in ("upload", f"a.{ {'zip': 'zip', 'tar': 'TAR', 'gzip': 'tgz', 'bzip2': 'tbz2', 'xz': 'txz'}[kind] }"):
        (tmp_path / name).write_bytes(archives()[kind])
        assert content(take_in(tmp_path / name, tmp_path / f"staging-{name}")) == {"a.onnx": ONNX}
    wrong = "a.tar.xz" if kind != "xz" else "a.zip"
    (tmp_path / wrong).write_bytes(archives()[kind])
    with pytest.raises(InvalidInput, match="not the archive that its name says"):
        take_in(tmp_path / wrong, tmp_path / "staging")


@pytest.mark.parametrize(
    ("paths", "root"),
    [(["top/a.onnx"], "top"), (["top/a.onnx", "other/b.txt"], ""), (["top/a.onnx", "b.txt"], ""), (["a.onnx"], "")],
)
def test_the_only_folder_of_an_archive_is_the_artifact(tmp_path: Path, paths: list[str], root: str) -> None:
    tar = TarBuilder()
    for path in paths:
        tar.add(path, ONNX if path.endswith("onnx") else b"text")
    (tmp_path / "a.tar").write_bytes(tar.end())
    taken = take_in(tmp_path / "a.tar", tmp_path / "staging", model=False)
    assert taken.folder == tmp_path / "staging" / root
    assert set(content(taken)) == {path.removeprefix(f"{root}/") for path in paths}


def test_a_folder_with_one_folder_in_it_stays_as_it_is(tmp_path: Path) -> None:
    folder = lay(tmp_path / "in", {"top/a.onnx": ONNX})
    taken = take_in(folder, tmp_path / "staging", model=False)
    assert set(content(taken)) == {"top/a.onnx"}
