"""Keeps optional modules of a framework out of a worker that may never need them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(module: str) -> Iterator[None]:
    """While inside, importing the module fails as if it were not installed; one that is imported already stays."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # the import system's own mark for this
    try:
        yield
    finally:
        del sys.modules[module]
