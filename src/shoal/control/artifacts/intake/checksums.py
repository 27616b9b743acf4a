"""Checksums that come with files, in the form of `sha256sum`: each file is named, and none that is not there.

5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03  weights/model.onnx
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from shoal.control.artifacts.intake.names import parse, refuse
from shoal.core.errors import CorruptArtifact, InvalidInput
from shoal.core.registry import FileEntry

NAME = "SHA256SUMS"
MAX_BYTES = 16 * 1024 * 1024

_LINE = re.compile(r"([0-9A-Fa-f]{64}) [ *](.+)\Z")


def parse_checksums(data: bytes) -> dict[str, str]:
    """Digests by path.

    Raises:
        InvalidInput: a line is none, or names a file twice.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(_text(data).split("\n"), 1):
        if not line.strip():
            continue
        match = _LINE.match(line.removesuffix("\r"))
        if not match:
            hint = "each line is a SHA-256 digest, two spaces and a path, as sha256sum writes it"
            raise InvalidInput(f"line {number} of {NAME} is no checksum", hint=hint, field=NAME)
        path = "/".join(parse(match[2]))
        if path in found:
            raise refuse(path, f"is twice in {NAME}")
        found[path] = match[1].lower()
    return found


def verify(files: Iterable[FileEntry], expected: Mapping[str, str]) -> None:
    """Compare files with their checksums, which must name all of them, and no other.

    Raises:
        CorruptArtifact: a file has another content.
        InvalidInput: a file has no checksum, or a checksum has no file.
    """
    remaining = dict(expected)
    for entry in files:
        digest = remaining.pop(entry.path, None)
        if digest is None:
            raise refuse(entry.path, "has no checksum", f"name every file in {NAME}")
        if digest.lower() != entry.sha256:
            hint = "it was changed or damaged after the checksums were made; make both again"
            raise CorruptArtifact(f"{entry.path!a} is not what its checksum says", hint=hint, field=entry.path)
    if remaining:
        raise refuse(min(remaining), "has a checksum, and is not there", "push all files that the checksums name")


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"{NAME} is too long", hint="push fewer files", field=NAME)
    return data.decode("utf-8", "surrogateescape")
