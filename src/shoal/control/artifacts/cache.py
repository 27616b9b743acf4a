"""The machine's disk cache of artifacts, shared by all its processes: what models are loaded from.

    blobs/ab/abcd...   content by name, shared by all trees that hold it
    trees/DIGEST/...   the files of one artifact, read-only: hard links to blobs where the disk can do that
    tmp/               in the making
    leases, fills      locks: who uses a tree; who fills it
    usage              how many bytes are held

Promises: a tree is there in whole or not at all, and one process at a time fetches it, whoever asks. Each time a tree
is asked for, its bytes are compared with their digests: wrong ones are fetched once more, and never returned. A tree
that is here and right is returned without asking the source. The sum of all bytes stays below the limit: the trees not
used for longest go first, one that is leased never. Nothing here needs to survive a power cut; what does is compared
like everything else.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from shoal.control.artifacts import ranges, trees
from shoal.control.artifacts.blobs import BlobSource
from shoal.control.artifacts.disk import remove, telling
from shoal.control.artifacts.eviction import Evictor
from shoal.control.artifacts.filling import Filler
from shoal.control.artifacts.leases import Leases
from shoal.control.artifacts.retrying import Retry
from shoal.control.artifacts.scratch import YOUNG_SECONDS, Scratch
from shoal.control.artifacts.usage import Room, Usage
from shoal.core.errors import StorageFull
from shoal.core.registry import Manifest

ATTEMPTS = 10
"""Room that one process made may be taken by another before it takes it itself."""

_WHAT = "the cache of artifacts"


class Lease:
    """A tree that stays where it is until `release`, or the end of a `with` block, or of the process.

    Attributes:
        path: the folder with the artifact's files; not to be written to.
    """

    def __init__(self, path: Path, release: Callable[[], None]) -> None:
        self.path = path
        self._release: Callable[[], None] | None = release

    def release(self) -> None:
        """Let the tree be evicted; a second call does nothing."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


class ArtifactCache:
    """A cache in a folder, which is made if it is not there.

    Args:
        folder: the same for all processes that share it.
        source: where artifacts come from.
        max_bytes: what all files together may take.
        retry: how often a source that is unavailable is asked, besides its own attempts.
        clock: Unix seconds, by which the tree not used for longest is told.
        young_seconds: see `scratch`.

    Attributes:
        hits: trees that were here, and right.
        misses: trees that were not here.
        bytes: fetched from the source.
        refetches: files that were here or were fetched, but not right, and were fetched once more.
        evictions: trees removed to make room.
    """

    def __init__(
        self,
        folder: Path,
        source: BlobSource,
        max_bytes: int,
        *,
        retry: Retry = Retry(attempts=2),  # noqa: B008 - a frozen value
        clock: Callable[[], float] = time.time,
        young_seconds: float = YOUNG_SECONDS,
    ) -> None:
        self.hits = self.misses = self.evictions = 0
        self._trees = folder / "trees"
        self._fills = folder / "fills"
        self._clock = clock
        self._guard = threading.Lock()
        with telling(_WHAT):
            for name in ("blobs", "trees", "tmp"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            scratch = Scratch(folder / "tmp")
            scratch.collect(young_seconds)
            self._leases = Leases(folder / "leases")
        self._filler = Filler(folder / "blobs", scratch, source, retry)
        self._evictor = Evictor(folder, scratch, self._leases)
        self._usage = Usage(folder / "usage", max_bytes, self._evictor.count)

    @property
    def bytes(self) -> int:
        return self._filler.bytes

    @property
    def refetches(self) -> int:
        return self._filler.refetches

    @property
    def held(self) -> int:
        """Bytes that all files take now, and what is being fetched will take."""
        with telling(_WHAT):
            return self._usage.held()

    def lease(self, manifest: Manifest) -> Lease:
        """The files of an artifact, fetched if they are not here, and kept while the lease lasts.

        Raises:
            CorruptArtifact: the source has other bytes than the manifest names.
            NotFound, Unavailable, PermissionDenied: of the source.
            StorageFull: there is no room, and nothing may be evicted.
            InvalidInput: the manifest is none.
        """
        digest = manifest.digest
        with telling(_WHAT):
            self._leases.hold(digest)
            try:
                path = self._ready(digest, manifest)
            except BaseException:
                self._leases.drop(digest)
                raise
        return Lease(path, lambda: self._leases.drop(digest))

    def materialise(self, manifest: Manifest) -> Path:
        """As `lease`, without one: the folder may be evicted at any time, and then is no longer where it was."""
        with self.lease(manifest) as lease:
            return lease.path

    def close(self) -> None:
        """Drop all leases of this process."""
        self._leases.close()

    def _ready(self, digest: str, manifest: Manifest) -> Path:
        tree = self._trees / digest
        if not self._hit(tree, manifest):
            with ranges.exclusive(self._fills, ranges.position(digest)):
                if not self._hit(tree, manifest):
                    self._make(tree, manifest)
        return tree

    def _hit(self, tree: Path, manifest: Manifest) -> bool:
        if not trees.intact(tree, manifest):
            return False
        now = self._clock()
        os.utime(tree, (now, now))
        with self._guard:
            self.hits += 1
        return True

    def _make(self, tree: Path, manifest: Manifest) -> None:
        """Fill or repair a tree. Only who holds its fill lock does."""
        trees.check_manifest(manifest)
        if tree.is_dir():
            self._filler.repair(tree, manifest)
            return
        remove(tree)
        with self._guard:
            self.misses += 1
        with self._room(self._filler.missing_bytes(manifest), manifest.size) as room:
            self._filler.fill(tree, manifest, room)
        now = self._clock()
        os.utime(tree, (now, now))

    @contextmanager
    def _room(self, size: int, whole: int) -> Iterator[Room]:
        room = self._usage.take(size) or self._make_room(size, whole)
        try:
            yield room
        finally:
            room.close()

    def _make_room(self, size: int, whole: int) -> Room:
        self._usage.recount()
        for _ in range(ATTEMPTS):
            if room := self._usage.take(size):
                return room
            evicted, freed = self._evictor.evict(self._usage.held() + size - self._usage.limit, self._usage.limit)
            self._usage.give_back(freed)
            with self._guard:
                self.evictions += evicted
            if not freed:
                break
        if room := self._usage.take(size):
            return room
        raise self._full(whole)

    def _full(self, whole: int) -> StorageFull:
        limit = self._usage.limit
        if whole > limit:
            return StorageFull(f"{_WHAT} may hold {limit:,} bytes, and the artifact has {whole:,}", hint=_ENLARGE)
        return StorageFull(f"{_WHAT} is full with artifacts in use: {limit:,} bytes", hint=_ENLARGE)


_ENLARGE = "give the cache more bytes, or serve fewer models on this machine"
