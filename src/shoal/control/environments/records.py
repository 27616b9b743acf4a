"""What is known of an environment, and where it is written down."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from shoal.control.environments.assembling import python_of
from shoal.control.environments.locks import Target
from shoal.core.errors import NotFound


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """A worker environment that is ready.

    Attributes:
        digest: its name.
        folder: where it is.
        requirements: the canonical lines of its lock.
        target: what it was made for.
        bytes: what it takes on disk.
        created, used: Unix seconds; `used` is the last time somebody asked for it.
    """

    digest: str
    folder: str
    requirements: tuple[str, ...]
    target: Target
    bytes: int
    created: float
    used: float = 0.0

    @property
    def python(self) -> Path:
        """Its interpreter: what `ModelSpec.python` is to be."""
        return python_of(Path(self.folder))


def read_record(file: Path) -> Environment:
    """What a record says; `used` is the file's own time.

    Raises:
        NotFound: there is no such environment, or its Python has gone.
    """
    digest = file.stem
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Environment)
        used = file.stat().st_mtime
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotFound(f"there is no environment {digest[:80]!a}") from error
    if not found.python.exists():
        raise NotFound(f"the environment {digest[:80]!a} has lost its interpreter")
    return msgspec.structs.replace(found, used=used)


def write_record(file: Path, environment: Environment) -> None:
    """Write it down, at once and for good."""
    staged = file.with_suffix(".staged")
    with staged.open("wb") as opened:
        opened.write(msgspec.json.encode(environment))
        opened.flush()
        os.fsync(opened.fileno())
    staged.replace(file)


def removable(
    environments: Collection[Environment], keep: Collection[str], now: float, grace_seconds: float
) -> list[Environment]:
    """Those that may go, if nobody holds them; the one that was used longest ago comes first. Pure."""
    old = [each for each in environments if each.digest not in keep and now - each.used >= grace_seconds]
    return sorted(old, key=lambda each: (each.used, each.digest))
