"""The files of an artifact as a folder: what is wrong with one, compared with its manifest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from shoal.control.artifacts.blobs import check_digest
from shoal.control.artifacts.intake.names import Names, parse
from shoal.control.artifacts.transfer import matches
from shoal.core.errors import InvalidInput
from shoal.core.registry import FileEntry, Manifest


def check_manifest(manifest: Manifest) -> None:
    """Refuse a manifest whose files could not lie beside each other below one folder.

    Raises:
        InvalidInput: a path, digest or size is none, or two paths clash.
    """
    names = Names()
    for entry in manifest.files:
        names.add_file(parse(entry.path))
        check_digest(entry.sha256)
        if entry.size < 0:
            raise InvalidInput(f"{entry.path} has a negative size", field=entry.path)


def files(folder: Path | str, prefix: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below a folder that is not itself a folder, with its path below it; links are not followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from files(entry.path, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name, entry


def intact(folder: Path, manifest: Manifest) -> bool:
    """Whether a folder holds exactly the files of a manifest, each with the right content."""
    try:
        found = {path for path, _ in files(folder)}
    except FileNotFoundError:
        return False
    return found == {entry.path for entry in manifest.files} and not wrong(folder, manifest)


def wrong(folder: Path, manifest: Manifest) -> list[FileEntry]:
    """The files of a manifest that are not there, or not with the right content."""
    root = str(folder)
    return [entry for entry in manifest.files if not matches(f"{root}/{entry.path}", entry.sha256, entry.size)]


def unnamed(folder: Path, manifest: Manifest) -> list[str]:
    """Paths below a folder that the manifest does not name."""
    named = {entry.path for entry in manifest.files}
    return [path for path, _ in files(folder) if path not in named]
