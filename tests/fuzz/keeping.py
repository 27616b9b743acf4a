"""Which of a run's inputs are worth keeping in the repository: the smallest that reach new lines, up to `MOST_KEPT`."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import shoal
from fuzz.target import CORPUS, Check, Target

MOST_KEPT = 40
_SOURCE = str(Path(shoal.__file__).parent)

Step = tuple[object, int, int]
"""Code, the line before, the line: an edge of the flow of control, as near as lines tell."""


def keep(target: Target, inputs: Iterable[bytes]) -> int:
    """Add to the target's kept corpus; returns how many were added."""
    folder = CORPUS / target.name
    folder.mkdir(parents=True, exist_ok=True)
    known: set[Step] = set()
    for data in target.examples():
        known |= steps(target.check, data)
    room = MOST_KEPT - len(list(folder.iterdir()))
    added = 0
    for data in sorted(inputs, key=len):
        if added >= room:
            break
        fresh = steps(target.check, data) - known
        if fresh:
            known |= fresh
            (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
            added += 1
    return added


def steps(check: Check, data: bytes) -> set[Step]:
    """The steps that a check takes in `shoal` for one input."""
    seen: set[Step] = set()

    def enter(frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.startswith(_SOURCE):
            return None
        before = 0

        def inside(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
            nonlocal before
            seen.add((frame.f_code, before, frame.f_lineno))
            before = frame.f_lineno
            return inside

        return inside

    outer = sys.gettrace()
    sys.settrace(enter)
    try:
        check(data)
    finally:
        sys.settrace(outer)
    return seen
