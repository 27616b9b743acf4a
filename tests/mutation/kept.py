"""What came of mutants that were tried, in a file for each subject: a run that was interrupted goes on where it was.

A line is `{"at": FILE:NUMBER, "module": DIGEST, "all": DIGEST, "killed": BOOL}`; the last one of a mutant counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from mutation.subjects import ROOT

FOLDER = ROOT / ".mutation"


def digest(files: Iterable[Path]) -> str:
    """Of the texts of files."""
    marks = (hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files))
    return hashlib.sha256(" ".join(marks).encode()).hexdigest()[:16]


class Kept:
    """See the module.

    Args:
        file: where it is.
        everything: the digest of all code and tests. What was found with any other is forgotten.
        again: remember with other tests as well what was killed, if the module is the same: for who writes tests for
            those that survived.
    """

    def __init__(self, file: Path, everything: str, *, again: bool = False) -> None:
        self._file = file
        self._everything = everything
        self._again = again
        self._found: dict[str, tuple[str, bool]] = {}
        if file.exists():
            self._read(file.read_text())

    def _read(self, text: str) -> None:
        for line in text.splitlines():
            entry = json.loads(line)
            if entry["all"] == self._everything or (self._again and entry["killed"]):
                self._found[entry["at"]] = entry["module"], entry["killed"]
            else:
                self._found.pop(entry["at"], None)

    def killed(self, at: str, module: str) -> bool | None:
        """Whether this mutant of a module with this digest was killed; None: it is to be tried."""
        known, killed = self._found.get(at, ("", False))
        return killed if known == module else None

    def keep(self, at: str, module: str, killed: bool) -> None:
        """Write down what came of one."""
        entry = {"at": at, "module": module, "all": self._everything, "killed": killed}
        self._file.parent.mkdir(exist_ok=True)
        with self._file.open("a") as file:
            file.write(json.dumps(entry) + "\n")
