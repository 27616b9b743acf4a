"""Garbage collection: removes blobs that no version refers to.

A push puts its blobs first and registers its version after, so between the two nothing refers to them. What protects it
is age: a blob that was put within the grace (a second put counts, see `blobs`) is left. The order matters, and is all
there is to it: first the store is listed, then the registry is asked what is live, so whatever was registered before a
blob was condemned is seen; and a blob made young since then is left by the store itself. Being killed at any step only
leaves blobs for the next run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shoal.control.artifacts.blobs import BlobStore, Stored

DAY = 24 * 60 * 60.0


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed, or would be.

    Attributes:
        count: blobs.
        bytes: in all of them.
    """

    count: int
    bytes: int


def collect(
    live: Iterable[str], blobs: BlobStore, *, now: float, grace_seconds: float = DAY, dry_run: bool = False
) -> Collected:
    """Remove the blobs that nothing refers to, and that nobody has put within the grace.

    Args:
        live: names of the blobs that a version refers to; only asked when the store has been listed.
        now: Unix seconds.
        grace_seconds: longer than any push takes from its first blob to its registration.
        dry_run: only say what would be removed.
    """
    horizon = now - grace_seconds
    old = [each for each in blobs.list() if each.modified <= horizon]
    condemned = unreferenced(old, live) if old else []
    gone = [each for each in condemned if dry_run or blobs.delete(each.sha256, unless_newer_than=horizon)]
    return Collected(len(gone), sum(each.size for each in gone))


def unreferenced(stored: Iterable[Stored], live: Iterable[str]) -> list[Stored]:
    """Those that nothing refers to."""
    remaining = {each.sha256: each for each in stored}
    for sha256 in live:
        remaining.pop(sha256, None)
    return list(remaining.values())
