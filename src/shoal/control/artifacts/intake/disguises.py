"""Files that are not what their names say, told by their first bytes: a pickle called ``model.onnx``, a program, ...

A format that cannot carry code is only safe if it is that format. Loaders differ in what they take for it, so what
begins as something else is refused before any loader sees it.
"""

from __future__ import annotations

import re
from pathlib import Path

from shoal.control.artifacts.intake.names import refuse

_HEAD = 512

_ZIP = "a zip archive"
_STRANGERS = (
    (re.compile(rb"\x80[\x02-\x05]"), "a pickle"),
    (re.compile(rb"\(?[ci][A-Za-z_][A-Za-z0-9_.]*\n[A-Za-z_][A-Za-z0-9_.]*\n(p[0-9]+\n|q[\x00-\x08]|\()"), "a pickle"),
    (re.compile(rb"\([dlt]p[0-9]+\n"), "a pickle"),
    (re.compile(rb"PK\x03\x04"), _ZIP),
    (re.compile(rb"\x1f\x8b"), "a gzip file"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "a bzip2 file"),
    (re.compile(rb"\xfd7zXZ\x00"), "an xz file"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "a 7z archive"),
    (re.compile(rb"Rar!\x1a\x07"), "a RAR archive"),
    (re.compile(rb"\x7fELF"), "a program"),
    (re.compile(rb"MZ.[\x00-\x03]", re.DOTALL), "a program"),
    (re.compile(rb"#!/"), "a script"),
    (re.compile(rb"\x89HDF\r\n\x1a\n"), "an HDF5 file"),
)
"""What a file seems to be by its first bytes."""

_PACKED = re.compile(rb"PK\x03\x04")
_BEGINS: dict[str, re.Pattern[bytes]] = {
    ".onnx": re.compile(rb"[\x08\x12\x1a\x22\x28\x32\x3a\x42\x72]|\xa2\x01|\xca\x01"),
    ".ubj": re.compile(rb"\{"),
    ".json": re.compile(rb"(\xef\xbb\xbf)?\s*[\[{\"0-9tfn-]"),
    ".skops": _PACKED,
    ".keras": _PACKED,
    ".pt2": _PACKED,
    ".ts": _PACKED,
    ".npz": _PACKED,
}
"""How each file of a suffix begins; an ONNX file with a field of its message."""
_PLAIN = (".pb", ".txt", ".lgb", ".safetensors", ".yaml", ".yml")
"""Suffixes of files that begin in many ways, and never as one of the strangers."""


def check(file: Path, path: str) -> None:
    """Refuse a file that is another format than its name says.

    Raises:
        InvalidInput: it is; the sentence says what it seems to be.
    """
    suffix = file.suffix.lower()
    if suffix not in _BEGINS and suffix not in _PLAIN:
        return
    with file.open("rb") as source:
        head = source.read(_HEAD)
    seems = stranger(head)
    begins = _BEGINS.get(suffix)
    if seems and not (seems == _ZIP and begins is _PACKED):
        raise refuse(path, f"is called {suffix}, and is {seems}", "give it the name of its format")
    if begins is not None and not begins.match(head):
        raise refuse(path, f"is called {suffix}, and is no such file", "save the model again")


def stranger(head: bytes) -> str:
    """What the beginning of a file tells that it is; "" if it is nothing that is told here."""
    return next((kind for pattern, kind in _STRANGERS if pattern.match(head)), "")
