"""Bundles: what an image or a virtual environment is made of, in one tar file, the same for the same content.

    manifest.json        what it is for, and each other member with its size and SHA-256; the first member
    requirements.lock    every wheel with its hash, as pip reads it offline
    wheels/              the wheels, Shoal's own included
    code/                the project's code and settings
    model/               the whole project with its weights, only if that was asked for

Members are in the order of their names, with no time, no owner and one mode. Whatever is read from a bundle has been
compared with its manifest; a member that the manifest does not name, or that is no plain file, makes it corrupt.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import msgspec

from shoal.control.environments.locks import Target
from shoal.core.errors import ConfigError, CorruptArtifact
from shoal.core.registry import FileEntry

MANIFEST = "manifest.json"
LOCK = "requirements.lock"
WHEELS = "wheels"
CODE = "code"
MODEL = "model"
MAX_MANIFEST = 16 * 1024 * 1024
_CHUNK = 1024 * 1024
_UNPACKED = ".unpacked-"

Content = Path | bytes


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest of a bundle.

    Attributes:
        name: the project's.
        target: what it was made for; `needs` are what Shoal brought along.
        requirements: the canonical lines of the project's own lock.
        with_model: whether the weights are in it.
        files: all members but the manifest, by path.
    """

    format: int = 1
    name: str
    target: Target
    requirements: tuple[str, ...]
    with_model: bool
    files: tuple[FileEntry, ...] = ()


def write(file: Path, contents: Contents, members: Mapping[str, Content]) -> str:
    """Write a bundle; SHA-256 of the file, as 64 hexadecimal digits."""
    entries = tuple(_entry(name, members[name]) for name in sorted(members))
    manifest = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(contents, files=entries)), indent=2)
    staged = file.with_name(f".{file.name}.staged")
    try:
        with tarfile.open(staged, "w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in [(MANIFEST, manifest), *((each.path, members[each.path]) for each in entries)]:
                _add(archive, name, content)
        with staged.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            os.fsync(opened.fileno())
        staged.replace(file)
    finally:
        staged.unlink(missing_ok=True)
    return digest


def verify(file: Path) -> Contents:
    """Compare every member with the manifest; the manifest.

    Raises:
        ConfigError: the file cannot be read.
        CorruptArtifact: it is not what was written.
    """
    with _opened(file) as archive:
        contents = _manifest(archive, file)
        for entry, member in _members(archive, contents, file):
            _compare(entry, member, None, file)
    return contents


def read_member(file: Path, name: str) -> bytes:
    """The content of one member; raises as `verify`."""
    with _opened(file) as archive:
        contents = _manifest(archive, file)
        for entry, member in _members(archive, contents, file):
            if entry.path == name:
                target = io.BytesIO()
                _compare(entry, member, target, file)
                return target.getvalue()
    raise _corrupt(file, f"it has no {name}")


def unpack(file: Path, folder: Path) -> Contents:
    """Unpack a bundle into a folder; raises as `verify`."""
    with _opened(file) as archive:
        contents = _manifest(archive, file)
        for entry, member in _members(archive, contents, file):
            goal = folder / entry.path
            goal.parent.mkdir(parents=True, exist_ok=True)
            with goal.open("xb") as target:
                _compare(entry, member, target, file)
    return contents


@contextlib.contextmanager
def unpacked(file: Path, parent: Path) -> Iterator[Path]:
    """A folder with a bundle's members, for the time of the block."""
    folder = Path(tempfile.mkdtemp(prefix=_UNPACKED, dir=parent))
    try:
        unpack(file, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(parent: Path, before: float) -> None:
    """Remove what killed processes have unpacked; `before` is in Unix seconds."""
    for folder in parent.glob(f"{_UNPACKED}*"):
        if folder.stat().st_mtime < before:
            shutil.rmtree(folder, ignore_errors=True)


def require_target(contents: Contents, here: Target) -> None:
    """Refuse a bundle that was built for something else than what runs here.

    Raises:
        ConfigError: it was.
    """
    built = contents.target
    for what, theirs, ours in (
        ("Python", built.python, here.python),
        ("platform", built.platform, here.platform),
        ("Shoal", built.shoal, here.shoal),
    ):
        if theirs != ours:
            raise ConfigError(
                f"the bundle {contents.name} was built for {what} {theirs}, here is {ours}",
                hint="build it again with the Shoal of this machine: `shoal build`",
            )


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(file, "r:") as archive:
            yield archive
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror or error}") from error
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise _corrupt(file, f"it is no tar file: {error}") from error


def _manifest(archive: tarfile.TarFile, file: Path) -> Contents:
    member = archive.next()
    if member is None or member.name != MANIFEST or not member.isreg() or member.size > MAX_MANIFEST:
        raise _corrupt(file, f"it does not begin with {MANIFEST}")
    try:
        return msgspec.json.decode(_reader(archive, member).read(), type=Contents)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _corrupt(file, f"its manifest cannot be read: {error}") from error


def _members(archive: tarfile.TarFile, contents: Contents, file: Path) -> Iterator[tuple[FileEntry, IO[bytes]]]:
    for entry in contents.files:
        member = archive.next()
        if member is None or member.name != entry.path or not member.isreg() or not _is_plain(entry.path):
            raise _corrupt(file, f"it does not hold {entry.path[:200]!a} where its manifest says")
        if member.size != entry.size:
            raise _corrupt(file, f"{entry.path} has {member.size} bytes, its manifest says {entry.size}")
        yield entry, _reader(archive, member)
    if archive.next() is not None:
        raise _corrupt(file, "it holds more than its manifest says")


def _reader(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = archive.extractfile(member)
    assert found is not None  # it is a regular file
    return found


def _compare(entry: FileEntry, source: IO[bytes], target: IO[bytes] | None, file: Path) -> None:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
    if digest.hexdigest() != entry.sha256:
        raise _corrupt(file, f"{entry.path} is not what its manifest says")


def _is_plain(path: str) -> bool:
    return bool(path) and all(part not in ("", ".", "..") for part in path.split("/")) and "\0" not in path


def _entry(path: str, content: Content) -> FileEntry:
    if isinstance(content, bytes):
        return FileEntry(path, len(content), hashlib.sha256(content).hexdigest())
    with content.open("rb") as opened:
        return FileEntry(path, content.stat().st_size, hashlib.file_digest(opened, "sha256").hexdigest())


def _add(archive: tarfile.TarFile, name: str, content: Content) -> None:
    member = tarfile.TarInfo(name)
    member.mode = 0o644
    if isinstance(content, bytes):
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
        return
    member.size = content.stat().st_size
    with content.open("rb") as opened:
        archive.addfile(member, opened)


def _corrupt(file: Path, why: str) -> CorruptArtifact:
    return CorruptArtifact(f"the bundle {file.name} is not what was built: {why}", hint="build it again: `shoal build`")
