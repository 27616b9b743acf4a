"""How many bytes the files of a model have: the least that its memory is counted with.

What a process grows by is what a model takes, as long as the process had no freed memory left to use again; a model
that was loaded into such memory seems to take nothing. Its files say otherwise.
"""

from __future__ import annotations

import os

MOST_FILES = 10_000
"""Files of a folder that are looked at; there are no more in an artifact."""


def file_bytes(path: str) -> int:
    """Bytes of a file, or of all files below a folder; 0 if there is nothing."""
    try:
        if not os.path.isdir(path):
            return os.stat(path).st_size
    except OSError:
        return 0
    total = seen = 0
    for folder, _, names in os.walk(path):
        for name in names:
            seen += 1
            total += _size(os.path.join(folder, name))
        if seen > MOST_FILES:
            break
    return total


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0
