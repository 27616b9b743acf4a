"""One thing done to artifacts in a process of its own, so that it can be killed anywhere: `python -m ... ROOT ACTION`.

Each step that returned is told by a line on standard output, written at once: what was told must be there afterwards.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
from pathlib import Path

from shoal.control.artifacts.blobs import Blob
from shoal.control.artifacts.cache import ArtifactCache
from shoal.control.artifacts.folder import FolderStore
from shoal.control.artifacts.gc import collect
from shoal.control.artifacts.storing import retrieve
from shoal.core.errors import ShoalError
from shoal.core.registry import FileEntry, Manifest

SINGLE = [b"%d" % number * 3_000 for number in range(3)]
TOGETHER = [b"many %d" % number * 500 for number in range(4)]
FAR = 4_000_000_000.0


def blob(data: bytes) -> Blob:
    return Blob(hashlib.sha256(data).hexdigest(), len(data), io.BytesIO(data))


def manifest(*contents: bytes) -> Manifest:
    return Manifest(
        tuple(FileEntry(f"dir/{index}", len(data), blob(data).sha256) for index, data in enumerate(contents))
    )


MANIFESTS = [manifest(SINGLE[0], TOGETHER[0]), manifest(SINGLE[1], TOGETHER[0]), manifest(SINGLE[2])]
LIVE = [blob(data).sha256 for data in (SINGLE[0], TOGETHER[0])]
CACHE_BYTES = 10_500
"""Room for two of the three trees."""


def told(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def put(root: Path) -> None:
    store = FolderStore(root / "store")
    for data in SINGLE:
        store.put(*blob(data))
        told(blob(data).sha256)
    store.put_many(map(blob, TOGETHER))
    for data in TOGETHER:
        told(blob(data).sha256)


def materialise(root: Path) -> None:
    cache = ArtifactCache(root / "cache", FolderStore(root / "store"), CACHE_BYTES)
    for each in MANIFESTS:
        cache.materialise(each)
        told(each.digest)


def gc(root: Path) -> None:
    collect(LIVE, FolderStore(root / "store"), now=FAR)
    told("collected")


def pull(root: Path) -> None:
    retrieve(MANIFESTS[0], FolderStore(root / "store"), root / "pulled")
    told("pulled")


ACTIONS = {"put": put, "materialise": materialise, "gc": gc, "pull": pull}

if __name__ == "__main__":
    try:
        ACTIONS[sys.argv[2]](Path(sys.argv[1]))
    except ShoalError as error:
        told(f"refused {error.code}")
