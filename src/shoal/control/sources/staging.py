"""Files on their way in: written below one folder, and counted against the budgets while they are written.

Names are judged as those of an archive are, before anything is made of them. No link is followed and no file replaced:
the folder is new.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from shoal.control.artifacts.disk import telling
from shoal.control.artifacts.intake import names
from shoal.control.sources.policy import SourcePolicy
from shoal.core.errors import CorruptArtifact, DeadlineExceeded, TooLarge

CHUNK = 1024 * 1024
_RAISE = "the budgets are part of the policy for sources"


def is_left_out(parts: names.Parts) -> bool:
    """Whether a file is none of the model: hidden, or Python's own cache."""
    return any(part.startswith(".") or part == "__pycache__" for part in parts)


def parts_of(path: str) -> names.Parts:
    """The names of a path that is written in the one way there is.

    Raises:
        InvalidInput: it is not plain.
    """
    parts = names.parse(path)
    if "/".join(parts) != path:
        raise names.refuse(path, "has '.' or nothing between two '/'", "rename it at its source")
    return parts


class Staging:
    """A new folder that is being filled.

    Args:
        folder: exists and is empty.
        clock: monotonic seconds.

    Attributes:
        files: how many have been added.
    """

    def __init__(self, folder: Path, policy: SourcePolicy, clock: Callable[[], float]) -> None:
        self.folder = folder
        self.files = 0
        self._policy = policy
        self._clock = clock
        self._end = clock() + policy.seconds
        self._names = names.Names()
        self._entries = 0
        self._bytes = 0

    def visit(self) -> None:
        """Count a file, a folder or a page of a list, when it is met; also those that are left out later.

        Raises:
            TooLarge, DeadlineExceeded: a budget is used up.
        """
        self._entries += 1
        if self._entries > self._policy.max_entries:
            raise TooLarge(f"the source has more than {self._policy.max_entries} files and folders", hint=_RAISE)
        self.check_time()

    def add(self, path: str, size: int, open_file: Callable[[], Iterable[bytes]]) -> None:
        """Write a file, unless it is one that is left out.

        Args:
            size: as the source tells; another number of bytes is refused.
            open_file: its bytes; not called when the name or the size is refused.

        Raises:
            InvalidInput, TooLarge, DeadlineExceeded, CorruptArtifact, StorageFull: the file is refused.
        """
        parts = parts_of(path)
        if is_left_out(parts):
            return
        self._names.add_file(parts)
        self._bytes += size
        if self._bytes > self._policy.max_bytes:
            raise TooLarge(f"the source has more than {self._policy.max_bytes} bytes", hint=_RAISE)
        with telling("the staging folder"):
            target = self.folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with open(descriptor, "wb", buffering=0) as file:
            self._write(path, size, open_file(), file.write)
        self.files += 1

    def _write(self, path: str, size: int, chunks: Iterable[bytes], write: Callable[[bytes], int | None]) -> None:
        left = size
        for chunk in chunks:
            self.check_time()
            left -= len(chunk)
            if left < 0:
                break
            with telling("the staging folder"):
                rest = memoryview(chunk)
                while rest:
                    rest = rest[write(rest) or 0 :]  # type: ignore[arg-type]
        if left:
            told = f"{path[:100]!a} came with {'more' if left < 0 else 'fewer'} than its {size} bytes"
            raise CorruptArtifact(told, hint="it changed meanwhile, or was cut off: try again", field="source")

    def check_time(self) -> None:
        """Raises:
        DeadlineExceeded: the time is used up.
        """
        if self._clock() > self._end:
            raise DeadlineExceeded(f"the source was not fetched within {self._policy.seconds:g} seconds", hint=_RAISE)
