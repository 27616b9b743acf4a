"""What the files of an artifact may be called: pure rules, the same for archives, folders and manifests.

A path that passes is made of plain names: it means the same on every file system, in a URL and on a terminal, and two
paths that pass together can lie beside each other anywhere. Each refusal says which name, and why.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

from shoal.core.errors import InvalidInput

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024

Parts = tuple[str, ...]

_DRIVE = re.compile(r"[A-Za-z]:")
_PLAIN = re.compile(r"[A-Za-z0-9_+=,@()\[\] -][A-Za-z0-9_+=,@()\[\] .-]*\Z")


def parse(path: str) -> Parts:
    """The names of a relative path, from the outside in; () for the root itself, which archives may name as ``./``.

    Raises:
        InvalidInput: it is absolute, leads upwards, is too long, or holds what no file name should.
    """
    if len(path.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES:
        raise refuse(path, f"is longer than {MAX_PATH_BYTES} bytes")
    if path.startswith("/"):
        raise refuse(path, "is absolute", "only paths below the archive's own root are taken")
    trimmed = path.removesuffix("/")
    while trimmed.startswith("./"):
        trimmed = trimmed[2:]
    if trimmed in ("", "."):
        if not path:
            raise refuse(path, "is empty")
        return ()
    parts = tuple(trimmed.split("/"))
    for part in parts:
        _check(path, part)
    return parts


def _check(path: str, part: str) -> None:
    """Refuse a name that is not plain. Most names are of ASCII and need only the first look."""
    if len(part) <= MAX_NAME_BYTES and _PLAIN.match(part) and part == part.strip():
        return
    reason = _fault(part)
    if reason:
        raise refuse(path, reason)


def _fault(part: str) -> str:
    """What is wrong with a name, as the end of a sentence; "" if nothing is."""
    if part in ("", ".", ".."):
        return "leads upwards" if part == ".." else "has an empty part"
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in part):
        return "has control characters, or bytes that are no text"
    if len(part.encode()) > MAX_NAME_BYTES:
        return f"has a part longer than {MAX_NAME_BYTES} bytes"
    if "\\" in part or _DRIVE.match(part):
        return "has a backslash or a drive letter"
    if part != part.strip():
        return "has a part that begins or ends with a space"
    return "" if _same_for_all(part) else "can be read as a path that leads elsewhere"


def _same_for_all(part: str) -> bool:
    """Whether nobody who decodes or normalises the name once more sees separators or dots alone."""
    seen = part
    for _ in range(4):
        seen = unquote(unicodedata.normalize("NFKC", seen), errors="replace")
        if seen in (".", "..") or any(char in seen for char in "/\\\0"):
            return False
    return unquote(seen) == seen


class Names:
    """All names of one artifact so far; refuses one that could not lie beside them."""

    def __init__(self) -> None:
        self._known: dict[Parts, tuple[Parts, bool]] = {}

    def add_file(self, parts: Parts) -> None:
        """Note a file.

        Raises:
            InvalidInput: it is there already, or clashes with another name.
        """
        if not parts:
            raise refuse("./", "is the root itself, and no file")
        for depth in range(1, len(parts)):
            self._add(parts[:depth], folder=True)
        self._add(parts, folder=False)

    def add_folder(self, parts: Parts) -> None:
        """Note a folder; it may be there already.

        Raises:
            InvalidInput: it clashes with another name.
        """
        for depth in range(1, len(parts) + 1):
            self._add(parts[:depth], folder=True)

    def _add(self, parts: Parts, *, folder: bool) -> None:
        spelled, was_folder = self._known.setdefault(tuple(map(_folded, parts)), (parts, folder))
        path = "/".join(parts)
        if spelled is parts:
            return
        if spelled != parts:
            raise refuse(path, f"clashes with {_shown('/'.join(spelled))}", "some systems cannot tell the two apart")
        if folder != was_folder:
            raise refuse(path, "is both a file and a folder")
        if not folder:
            raise refuse(path, "is there twice")


def _folded(part: str) -> str:
    """What systems that ignore case and spelling of characters take a name for."""
    if part.isascii():
        return part.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", part).casefold())


def refuse(path: str, reason: str, hint: str = "") -> InvalidInput:
    """The error for one file or member of an archive."""
    return InvalidInput(f"{_shown(path)} {reason}", hint=hint or "rename it, and pack again", field=path[:200])


def _shown(path: str) -> str:
    """A path as it may be shown: nothing in it acts on a terminal or a log."""
    return ascii(path if len(path) <= 120 else f"{path[:117]}...")
