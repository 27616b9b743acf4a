"""Shoal's own files as a wheel: the same bytes for the same files, whatever kind of install they are run from.

Environments get Shoal from it, so that they stay what they were when the node's own installation changes.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from shoal.core import version
from shoal.core.version import __version__

SCRIPT = "[console_scripts]\nshoal = shoal.cli.main:main\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_WHEEL = "Wheel-Version: 1.0\nGenerator: shoal\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def package_digest() -> str:
    """SHA-256 over names and contents of the package's files, as 64 hexadecimal digits."""
    total = hashlib.sha256()
    for name, content in _files():
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def write_wheel(folder: Path, requires: Iterable[str], *, command: bool) -> Path:
    """Write Shoal's wheel.

    Args:
        folder: where to.
        requires: ``Requires-Dist`` lines.
        command: whether it installs the command `shoal`.
    """
    info = f"shoal-{__version__}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in requires)
    members = [*_files(), (f"{info}/WHEEL", _WHEEL.encode())]
    members.append(
        (f"{info}/METADATA", f"Metadata-Version: 2.1\nName: shoal\nVersion: {__version__}\n{needs}".encode())
    )
    if command:
        members.append((f"{info}/entry_points.txt", SCRIPT.encode()))
    record = "".join(f"{name},{_record(content)}\n" for name, content in members) + f"{info}/RECORD,,\n"
    wheel = folder / f"shoal-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_STORED) as archive:
        for name, content in [*members, (f"{info}/RECORD", record.encode())]:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return wheel


@cache
def _files() -> list[tuple[str, bytes]]:
    """Names and contents, read once: digest and wheel are of the same moment, whatever is installed meanwhile."""
    root = Path(version.__file__).parents[1]
    found = [each for each in root.rglob("*") if each.is_file() and "__pycache__" not in each.parts]
    named = sorted((each.relative_to(root.parent).as_posix(), each) for each in found if each.suffix != ".pyc")
    return [(name, each.read_bytes()) for name, each in named]


def _record(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={digest},{len(content)}"
