"""A settings file on the disk, and the files beside it that it names."""

from __future__ import annotations

from pathlib import Path

from shoal.core.errors import ConfigError
from shoal.core.settings import documents


def contents(file: Path) -> bytes:
    """A file's bytes; of one that is too large to be settings, one byte more than is read.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with file.open("rb") as opened:
            return opened.read(documents.MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error


def beside(folder: Path, given: str, what: str) -> Path:
    """A path that a settings file names.

    Args:
        folder: where it must be, with all links resolved.
        given: relative to the folder.
        what: what the error calls the folder.

    Raises:
        ValueError: there is no such file or folder, or it leads out.
    """
    if "\0" in given:
        raise ValueError("must be a path")
    found = (folder / given).resolve()
    if found != folder and folder not in found.parents:
        raise ValueError(f"must lie in {what}, {given!r} does not")
    try:
        missing = not found.exists()
    except OSError as error:  # such as a name that is too long
        raise ValueError(f"cannot be looked at: {error.strerror}") from error
    if missing:
        raise ValueError(f"there is no {given!r} in {folder}")
    return found
