"""From something that a stranger gives to a staged folder and its manifest, or to a refusal that leaves nothing.

    file, folder, tar (plain, gzip, bzip2, xz), zip  ->  members  ->  staging  ->  checks  ->  `Intake`

Whether a file is an archive is told by its content and its name together: ``model.skops`` is a zip archive too, and is
taken as it is. Archives within archives are files like others. If everything in an archive lies in one folder, that
folder is the artifact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from shoal.control.artifacts.disk import remove, telling
from shoal.control.artifacts.intake import checksums, safetensors
from shoal.control.artifacts.intake.folders import read_file, read_folder
from shoal.control.artifacts.intake.members import Budget, Member, Ratio, damaged
from shoal.control.artifacts.intake.recognising import judge
from shoal.control.artifacts.intake.staging import Staging
from shoal.control.artifacts.intake.streams import DECODERS, Packed, Plain
from shoal.control.artifacts.intake.tars import read_tar
from shoal.control.artifacts.intake.zips import read_zip
from shoal.core.errors import Conflict, InvalidInput, NotFound
from shoal.core.formats import SUFFIXES
from shoal.core.registry import FileEntry, Manifest

_KINDS = ((b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ", "xz"))
_ENDINGS = {
    ".zip": "zip",
    ".tar": "tar",
    ".tar.gz": "gzip",
    ".tgz": "gzip",
    ".tar.bz2": "bzip2",
    ".tbz2": "bzip2",
    ".tar.xz": "xz",
    ".txz": "xz",
}
_SINGLE = (*(suffix for suffixes in SUFFIXES.values() for suffix in suffixes), ".safetensors", ".npz", ".npy")
"""Files that are taken as they are, even if their format is an archive's."""
SHOWN = 10
"""Files that were left out and are named."""


@dataclass(frozen=True, slots=True)
class Intake:
    """What was taken in.

    Attributes:
        folder: where the files are staged.
        manifest: the files, with sizes and digests.
        runtime: the adapter that loads them; "" for files that are no model.
        code: how they can carry code, as the end of a sentence; "" if they cannot.
        notes: what was left out, and what else a person should know; sentences.
    """

    folder: Path
    manifest: Manifest
    runtime: str = ""
    code: str = ""
    notes: tuple[str, ...] = ()


def take_in(
    source: Path,
    staging: Path,
    *,
    name: str = "",
    budget: Budget = Budget(),  # noqa: B008 - a frozen value
    expected: Mapping[str, str] | None = None,
    require_checksums: bool = False,
    model: bool = True,
) -> Intake:
    """Bring files in, judging all of them.

    Args:
        source: a file, an archive or a folder.
        staging: a folder that is not there, or empty; empty again, or gone, after a refusal.
        name: what the file was called by whoever sent it; by default its own name.
        budget: how much is taken.
        expected: SHA-256 by path, which must name all files; besides `SHA256SUMS`, if the files hold one.
        require_checksums: refuse files that come without checksums.
        model: refuse files that are no model that is known.

    Raises:
        InvalidInput: a member, a name, a checksum list, or the whole is refused; the sentence says which and why.
        TooLarge: a budget is exceeded.
        CorruptArtifact: a file is not what its checksum says.
        StorageFull, Unavailable, PermissionDenied: of the disk.
    """
    _make(staging)
    taken = Staging(staging, budget)
    try:
        with ExitStack() as stack:
            taken.take_all(_members(source, name or source.name, budget, stack))
        folder = staging if source.is_dir() else _root(staging, taken)
        _check_sums(folder, taken, expected, require_checksums)
        return _judge(folder, taken, model)
    except BaseException:
        remove(staging)
        raise


def _make(staging: Path) -> None:
    with telling("the staging folder"):
        staging.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(staging.iterdir()):
            raise Conflict(f"{staging} is not empty", hint="name a new folder", field="staging")


def _members(source: Path, name: str, budget: Budget, stack: ExitStack) -> Iterator[Member]:
    if source.is_dir():
        return read_folder(source)
    if not source.is_file():
        raise NotFound(f"{name} is no file or folder", hint="check the path", field="source")
    with telling(f"the file {name}"):
        file = stack.enter_context(source.open("rb"))
        kind = _archive_kind(file.read(512), name)
        file.seek(0)
    if not kind:
        return read_file(source, name)
    if kind == "zip":
        return read_zip(file, name, budget)
    stream = Plain(file) if kind == "tar" else Packed(file, DECODERS[kind], Ratio(budget, name), name)
    return read_tar(stream, name)


def _archive_kind(head: bytes, name: str) -> str:
    """How to unpack a file; "" for a file that is taken as it is.

    Raises:
        InvalidInput: it is called an archive, and is none, or another.
    """
    lower = name.lower()
    seems = next((kind for start, kind in _KINDS if head.startswith(start)), "tar" if head[257:262] == b"ustar" else "")
    said = next((kind for ending, kind in _ENDINGS.items() if lower.endswith(ending)), "")
    if said and seems != said and not (said == "tar" and not seems):
        raise damaged(name, "is not the archive that its name says")
    return said or ("" if lower.endswith(_SINGLE) else seems)


def _root(staging: Path, taken: Staging) -> Path:
    """The folder that is the artifact: the only one in an archive, or the whole."""
    tops = {path.partition("/")[0] for path in taken.files}
    if len(tops) != 1 or any("/" not in path for path in taken.files):
        return staging
    taken.files = {path.partition("/")[2]: entry for path, entry in taken.files.items()}
    return staging / tops.pop()


def _check_sums(folder: Path, taken: Staging, expected: Mapping[str, str] | None, required: bool) -> None:
    """Compare the files with all checksums there are. The list itself is no file of the model, and is removed."""
    lists = [expected] if expected is not None else []
    if taken.files.pop(checksums.NAME, None) is not None:
        with telling("the staging folder"):
            data = (folder / checksums.NAME).read_bytes()
            (folder / checksums.NAME).unlink()
        lists.append(checksums.parse_checksums(data))
    if required and not lists:
        hint = f"add a file {checksums.NAME}: `sha256sum FILES > {checksums.NAME}`"
        raise InvalidInput("the files come without checksums, which are required", hint=hint, field=checksums.NAME)
    for each in lists:
        checksums.verify(_manifest(taken).files, each)


def _judge(folder: Path, taken: Staging, model: bool) -> Intake:
    if not taken.files:
        raise InvalidInput("there are no files in it", hint="hidden files are left out; pack the model's files")
    nature = judge(folder, taken.files, model=model)
    notes = _notes(taken)
    for path in taken.files:
        if path.lower().endswith(".safetensors"):
            notes += safetensors.examine(folder / path, path)
    return Intake(folder, _manifest(taken), nature.runtime, nature.code, tuple(notes))


def _manifest(taken: Staging) -> Manifest:
    files = (FileEntry(path, entry.size, entry.sha256) for path, entry in sorted(taken.files.items()))
    return Manifest(tuple(files))


def _notes(taken: Staging) -> list[str]:
    if not taken.left_out:
        return []
    more = ", ..." if len(taken.left_out) > SHOWN else ""
    return [f"left out: {', '.join(taken.left_out[:SHOWN])}{more}"]
