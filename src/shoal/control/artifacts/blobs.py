"""Where the bytes of artifacts are kept: blobs, each named by the SHA-256 of its content.

A name is 64 hexadecimal digits and nothing else, so no text of a user ever becomes a path or a key. The two ports:

    BlobSource   read only: what a cache fills itself from
    BlobStore    a source that also takes, lists and deletes

Stores promise: a blob is there in whole or not at all; what `put` or `put_many` returned from is durable; putting a
blob that is there already costs no second copy, and makes it young again, so that no garbage collection takes it from
under a push that relies on it. Readers compare the bytes with the name themselves (`transfer`): a store may rot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple, Protocol

from shoal.core.errors import InvalidInput, NotFound

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class Blob(NamedTuple):
    """A blob on its way into a store; `source` is read once, from where it stands to its end."""

    sha256: str
    size: int
    source: BinaryIO


class Stored(NamedTuple):
    """A blob in a store.

    Attributes:
        modified: when it was last put, in Unix seconds.
    """

    sha256: str
    size: int
    modified: float


class BlobSource(Protocol):
    """Something that blobs can be read from."""

    def open(self, sha256: str) -> BinaryIO:
        """The content from its beginning; the caller closes it, and compares it with its name.

        Raises:
            NotFound: there is no such blob.
            Unavailable: the store does not answer; also while reading.
            PermissionDenied: the store refuses.
        """
        ...


class BlobStore(BlobSource, Protocol):
    """Something that keeps blobs."""

    def has(self, sha256: str) -> bool:
        """Whether there is such a blob."""
        ...

    def put(self, sha256: str, size: int, source: BinaryIO) -> bool:
        """Keep a blob; when this returns it is durable.

        Returns:
            Whether it was written; False: it was there already, and counts as just put.

        Raises:
            CorruptArtifact: the source's bytes are not what the name and size say; nothing was kept.
            StorageFull: there is no room; nothing was kept.
            Unavailable, PermissionDenied: as for `open`.
        """
        ...

    def put_many(self, blobs: Iterable[Blob]) -> int:
        """Keep many blobs at a fraction of the cost of `put`; when this returns all are durable.

        Returns:
            How many were written.

        Raises:
            ShoalError: as for `put`; of the blobs before the wrong one, any number may have been kept.
        """
        ...

    def delete(self, sha256: str, *, unless_newer_than: float | None = None) -> bool:
        """Remove a blob.

        Args:
            unless_newer_than: leave it if it was put after this Unix time.

        Returns:
            Whether it was there and is gone now.
        """
        ...

    def list(self) -> Iterator[Stored]:
        """All blobs, in any order."""
        ...

    def close(self) -> None:
        """Let go of connections and files."""
        ...


def is_digest(text: str) -> bool:
    """Whether a text is the name of a blob."""
    return _DIGEST.match(text) is not None


def check_digest(text: str) -> str:
    """The name of a blob.

    Raises:
        InvalidInput: it is none.
    """
    if not is_digest(text):
        hint = "a SHA-256 digest: 64 digits and letters from a to f"
        raise InvalidInput(f"{text[:80]!a} is not the name of a blob", hint=hint, field="sha256")
    return text


def missing(sha256: str) -> NotFound:
    """The error for a blob that is not there."""
    hint = "the version may have been deleted and collected; push its files again"
    return NotFound(f"there is no blob {sha256[:12]} in the artifact store", hint=hint, field="sha256")
