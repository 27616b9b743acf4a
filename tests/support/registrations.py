"""Versions to register, with made-up content."""

from __future__ import annotations

import hashlib
from typing import Any

from shoal.core.registry import FileEntry, Manifest, NewVersion


def sha256(content: str) -> str:
    """The digest of a text."""
    return hashlib.sha256(content.encode()).hexdigest()


def manifest(*contents: str) -> Manifest:
    """A manifest of files with these contents."""
    return Manifest(tuple(FileEntry(f"file{at}", len(text), sha256(text)) for at, text in enumerate(contents)))


def new(model: str = "iris", content: str = "one", **fields: Any) -> NewVersion:
    """A version to register."""
    return NewVersion(model=model, manifest=manifest(content), **fields)
