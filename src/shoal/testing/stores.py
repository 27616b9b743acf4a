"""A blob store in memory, and what every blob store must do: an author proves a store of his own in five lines.

class TestMine(BlobStoreContract):
    @pytest.fixture
    def store(self) -> Iterator[BlobStore]:
        yield MyStore()
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from shoal.control.artifacts.blobs import Blob, BlobStore, Stored, check_digest, missing
from shoal.control.artifacts.transfer import chunks
from shoal.core.errors import CorruptArtifact, InvalidInput, NotFound


class MemoryStore:
    """A `BlobStore` that forgets everything at its end.

    Attributes:
        content: what it holds, by name; tests may damage it.
        reads: how often a blob was opened.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.content: dict[str, bytes] = {}
        self.modified: dict[str, float] = {}
        self.reads = 0
        self._clock = clock

    def has(self, sha256: str) -> bool:
        return check_digest(sha256) in self.content

    def open(self, sha256: str) -> BinaryIO:
        self.reads += 1
        if not self.has(sha256):
            raise missing(sha256)
        return io.BytesIO(self.content[sha256])

    def put(self, sha256: str, size: int, source: BinaryIO) -> bool:
        fresh = not self.has(sha256)
        if fresh:
            self.content[sha256] = b"".join(chunks(source, sha256, size))
        self.modified[sha256] = self._clock()
        return fresh

    def put_many(self, blobs: Iterable[Blob]) -> int:
        return sum(self.put(*blob) for blob in blobs)

    def delete(self, sha256: str, *, unless_newer_than: float | None = None) -> bool:
        if not self.has(sha256):
            return False
        if unless_newer_than is not None and self.modified[sha256] > unless_newer_than:
            return False
        del self.content[sha256], self.modified[sha256]
        return True

    def list(self) -> Iterator[Stored]:
        for sha256, data in list(self.content.items()):
            yield Stored(sha256, len(data), self.modified[sha256])

    def close(self) -> None:
        """Nothing is held."""


def name_of(data: bytes) -> str:
    """The name of a blob with this content."""
    return hashlib.sha256(data).hexdigest()


def blob_of(data: bytes) -> Blob:
    """A blob with this content."""
    return Blob(name_of(data), len(data), io.BytesIO(data))


def read(store: BlobStore, sha256: str) -> bytes:
    """All bytes of a blob."""
    with store.open(sha256) as file:
        return b"".join(iter(lambda: file.read(65_536), b""))


class BlobStoreContract:
    """Tests for pytest; a subclass gives the fixture `store`: an empty store, closed after the test."""

    def test_what_was_put_is_there(self, store: BlobStore) -> None:
        assert store.put(*blob_of(b"one"))
        assert store.has(name_of(b"one"))
        assert read(store, name_of(b"one")) == b"one"

    def test_an_empty_blob_is_a_blob(self, store: BlobStore) -> None:
        assert store.put(*blob_of(b""))
        assert read(store, name_of(b"")) == b""

    def test_a_large_blob_comes_back_whole(self, store: BlobStore) -> None:
        data = b"0123456789abcdef" * (9 * 65_536 + 1)
        assert store.put(*blob_of(data))
        assert read(store, name_of(data)) == data

    def test_a_second_put_writes_nothing_and_makes_it_young(self, store: BlobStore) -> None:
        assert store.put(*blob_of(b"one"))
        before = next(iter(store.list())).modified
        assert not store.put(*blob_of(b"one"))
        assert next(iter(store.list())).modified >= before

    def test_what_was_never_put_is_not_found(self, store: BlobStore) -> None:
        assert not store.has(name_of(b"other"))
        assert _raises(NotFound, lambda: read(store, name_of(b"other")))

    def test_wrong_bytes_are_refused_and_not_kept(self, store: BlobStore) -> None:
        name = name_of(b"right")
        for size, data in ((5, b"wrong"), (5, b"righ"), (5, b"right and more"), (4, b"right"), (6, b"right")):
            refused = _raises(CorruptArtifact, lambda size=size, data=data: store.put(name, size, io.BytesIO(data)))  # type: ignore[misc]
            assert refused, (size, data)
        assert not store.has(name)
        assert list(store.list()) == []

    def test_a_large_blob_with_wrong_bytes_is_not_kept(self, store: BlobStore) -> None:
        data = b"x" * (12 * 1024 * 1024)
        assert _raises(CorruptArtifact, lambda: store.put(name_of(b"y"), len(data), io.BytesIO(data)))
        assert list(store.list()) == []

    def test_many_are_put_at_once(self, store: BlobStore) -> None:
        contents = [b"%d" % number for number in range(50)]
        assert store.put_many(blob_of(each) for each in [*contents, contents[0]]) == 50
        assert {each.sha256 for each in store.list()} == {name_of(each) for each in contents}
        assert {each.size for each in store.list()} == {1, 2}
        assert store.put_many(blob_of(each) for each in contents) == 0

    def test_a_wrong_one_among_many_is_refused(self, store: BlobStore) -> None:
        wrong = Blob(name_of(b"right"), 5, io.BytesIO(b"wrong"))
        assert _raises(CorruptArtifact, lambda: store.put_many([blob_of(b"one"), wrong]))
        assert not store.has(name_of(b"right"))

    def test_a_deleted_blob_is_gone_and_can_be_put_again(self, store: BlobStore) -> None:
        store.put(*blob_of(b"one"))
        assert store.delete(name_of(b"one"))
        assert not store.has(name_of(b"one"))
        assert not store.delete(name_of(b"one"))
        assert store.put(*blob_of(b"one"))

    def test_a_young_blob_is_left_when_asked(self, store: BlobStore) -> None:
        store.put(*blob_of(b"one"))
        modified = next(iter(store.list())).modified
        assert not store.delete(name_of(b"one"), unless_newer_than=modified - 10)
        assert store.delete(name_of(b"one"), unless_newer_than=modified + 10)

    def test_only_digests_are_names(self, store: BlobStore) -> None:
        digest = name_of(b"one")
        for name in (
            "",
            "../x",
            digest.upper(),
            digest + "\n",
            digest[:-1],
            "/etc/passwd",
            digest[:-2] + "..",
            "é" * 64,
        ):
            assert _raises(InvalidInput, lambda name=name: store.has(name)), name  # type: ignore[misc]
            assert _raises(InvalidInput, lambda name=name: store.open(name)), name  # type: ignore[misc]
            assert _raises(InvalidInput, lambda name=name: store.delete(name)), name  # type: ignore[misc]
            assert _raises(InvalidInput, lambda name=name: store.put(name, 0, io.BytesIO())), name  # type: ignore[misc]


def _raises(kind: type[Exception], action: Callable[[], object]) -> bool:
    try:
        action()
    except kind:
        return True
    return False
