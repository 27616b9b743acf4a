"""Run a command as an ordinary user when the tests run as root, wherever Python is.

Python may be below root's home, which nobody else may enter. So the command gets a mount namespace in which only those
folders on the way are opened; the machine itself stays as it is.

    python -m support.prison.ordinary FOLDER COMMAND...
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

USER = 61500
"""Nobody's."""


def as_ordinary_user(folder: Path) -> list[str]:
    """What to put in front of a command.

    Args:
        folder: is given to the user.
    """
    if os.geteuid() != 0:
        return []
    os.chown(folder, USER, USER)
    os.chmod(folder.parent, 0o711)
    prefix = [sys.executable, str(Path(__file__).resolve()), "--"]
    probe = subprocess.run([*prefix, sys.executable, "-c", "pass"], capture_output=True, check=False, text=True)
    if probe.returncode:
        pytest.skip(f"no ordinary user can be had here: {probe.stderr.strip()[-200:]}")
    return prefix


def main(command: list[str]) -> None:
    """Become the user, run the command."""
    libc = __import__("ctypes").CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0:
        sys.exit("no mount namespace")
    _run("mount", "--make-rprivate", "/")
    for closed in _closed(Path(sys.base_prefix), Path(sys.prefix)):
        _open(*closed)
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)
    os.execv(command[0], command)


def _closed(*paths: Path) -> list[tuple[Path, Path]]:
    """Folders that only root may enter, and what is needed of them."""
    found = {}
    for path in paths:
        for each in reversed(path.resolve().parents):
            if not each.stat().st_mode & 0o001:
                found[each] = path.resolve()
                break
    return list(found.items())


def _open(folder: Path, needed: Path) -> None:
    """Put an open folder in its place that has nothing but what is needed."""
    aside = Path(tempfile.mkdtemp(prefix="aside-"))
    _run("mount", "-t", "tmpfs", "none", str(aside))
    kept = aside / "kept"
    kept.mkdir()
    _run("mount", "--bind", str(needed), str(kept))
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "none", str(folder))
    needed.mkdir(parents=True)
    _run("mount", "--bind", str(kept), str(needed))
    _run("umount", str(kept))
    _run("umount", str(aside))
    aside.rmdir()


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main(sys.argv[2:])
