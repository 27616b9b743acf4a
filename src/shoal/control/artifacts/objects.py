"""Blobs as objects of a bucket: S3 and what speaks like it, Google Cloud Storage, Azure.

    PREFIX/blobs/ab/abcd...   the blobs
    PREFIX/young/ab/abcd...   empty: this blob was put again, when this object was written

A bucket makes an object visible in whole, or not at all, and says so only when it is durable. Larger ones travel in
parts; the last part is sent only when all bytes have been compared with the name, so a wrong upload never completes.
Requests that fail for a reason that may pass are tried again a bounded number of times, with growing, jittered waits.
An object's date cannot be changed, so a blob that is there and no longer young gets an object beside it which is.

Between a collection's last look at a blob's age and its removal, a few milliseconds, a push may still find the blob. A
folder has a lock for that, a bucket has none; it takes a push that uses again, in those milliseconds, a blob to which
nothing has referred for the whole grace.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, BinaryIO, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from shoal.control.artifacts.blobs import Blob, Stored, check_digest, is_digest, missing
from shoal.control.artifacts.object_errors import telling
from shoal.control.artifacts.transfer import chunks
from shoal.control.artifacts.urls import BucketAddress
from shoal.core.errors import ConfigError, CorruptArtifact, NotFound, Unavailable

PART_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a bucket is waited for.

    Attributes:
        connect_seconds: for a connection.
        read_seconds: for the next bytes of an answer.
        retries: after a failure that may pass.
        retry_seconds: after which no more attempt is begun.
    """

    connect_seconds: float = 5.0
    read_seconds: float = 20.0
    retries: int = 4
    retry_seconds: float = 30.0


class ObjectStore:
    """A `BlobStore` in a bucket.

    Args:
        address: of the bucket; it must exist.
        patience: see there.
        parallel: uploads at once, in `put_many`.
        young_seconds: a blob younger than this is not marked as young again.
    """

    def __init__(
        self,
        address: BucketAddress,
        *,
        patience: Patience = Patience(),
        parallel: int = 8,
        young_seconds: float = 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = str(address)
        self._store = _client(address, patience)
        self._parallel = parallel
        self._young_seconds = young_seconds
        self._clock = clock

    def has(self, sha256: str) -> bool:
        return self._head(_blob(sha256)) is not None

    def open(self, sha256: str) -> BinaryIO:
        key = _blob(sha256)
        try:
            with telling(self._name):
                stream = iter(obstore.get(self._store, key).stream(min_chunk_size=1024 * 1024))
        except NotFound as error:
            raise missing(sha256) from error
        return cast(BinaryIO, _Reader(stream, self._name))

    def put(self, sha256: str, size: int, source: BinaryIO) -> bool:
        if self._refresh(sha256, size):
            return False
        self._upload(sha256, size, source)
        found = self._head(_blob(sha256))
        if found is None or found.size != size:
            with suppress(Unavailable):
                self.delete(sha256)
            raise CorruptArtifact(
                f"{self._name} kept blob {sha256[:12]} with another size than it was sent", hint=_HINT
            )
        return True

    def put_many(self, blobs: Iterable[Blob]) -> int:
        """As said in the port. What is put at once is held in memory, so this is for small blobs."""
        written = 0
        with ThreadPoolExecutor(self._parallel, "shoal-upload") as pool:
            for batch in _batches(blobs, self._parallel * 4):
                written += sum(pool.map(lambda blob: self.put(*blob), batch))
        return written

    def delete(self, sha256: str, *, unless_newer_than: float | None = None) -> bool:
        found = self._head(_blob(sha256))
        if found is None:
            return False
        young = self._head(_young(sha256))
        newest = max(found.modified, young.modified if young else 0.0)
        if unless_newer_than is not None and newest > unless_newer_than:
            return False
        with telling(self._name):
            obstore.delete(self._store, [_blob(sha256), *([_young(sha256)] if young else [])])
        return True

    def list(self) -> Iterator[Stored]:
        young = {each.sha256: each.modified for each in self._list("young")}
        for each in self._list("blobs"):
            yield each._replace(modified=max(each.modified, young.get(each.sha256, 0.0)))

    def close(self) -> None:
        """Connections end with the object."""

    def _refresh(self, sha256: str, size: int) -> bool:
        """Whether a blob is there; if so it counts as just put."""
        found = self._head(_blob(sha256))
        if found is None or found.size != size:
            return False
        if found.modified < self._clock() - self._young_seconds:
            with telling(self._name):
                obstore.put(self._store, _young(sha256), b"")
        return True

    def _upload(self, sha256: str, size: int, source: BinaryIO) -> None:
        parts = chunks(source, sha256, size)
        with telling(self._name):
            if size <= PART_BYTES:
                obstore.put(self._store, _blob(sha256), b"".join(parts), use_multipart=False)
            else:
                obstore.put(self._store, _blob(sha256), parts, chunk_size=PART_BYTES, max_concurrency=4)

    def _head(self, key: str) -> Stored | None:
        try:
            with telling(self._name):
                return _stored(obstore.head(self._store, key))
        except NotFound:
            return None

    def _list(self, kind: str) -> Iterator[Stored]:
        pages = iter(obstore.list(self._store, prefix=f"{kind}/"))
        while True:
            with telling(self._name):
                page = next(pages, None)
            if page is None:
                return
            yield from (each for each in map(_stored, page) if is_digest(each.sha256))


class _Reader(io.RawIOBase):
    """An object as a file, read once from its beginning to its end."""

    def __init__(self, stream: Iterator[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            with telling(self._name):
                part = next(self._stream, None)
            if part is None:
                return 0
            self._rest = memoryview(part)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _blob(sha256: str) -> str:
    return f"blobs/{check_digest(sha256)[:2]}/{sha256}"


def _young(sha256: str) -> str:
    return f"young/{check_digest(sha256)[:2]}/{sha256}"


def _stored(meta: Any) -> Stored:
    return Stored(meta["path"].rpartition("/")[2], meta["size"], meta["last_modified"].timestamp())


def _batches(blobs: Iterable[Blob], size: int) -> Iterator[list[Blob]]:
    """Blobs in memory, so many at a time, each name once per batch: their sources are only good until the next."""
    batch: dict[str, Blob] = {}
    for blob in blobs:
        batch[blob.sha256] = blob._replace(source=io.BytesIO(blob.source.read(blob.size + 1)))
        if len(batch) == size:
            yield list(batch.values())
            batch = {}
    yield list(batch.values())


def _client(address: BucketAddress, patience: Patience) -> Any:
    """The client of a bucket; credentials are the environment's."""
    options = dict(address.options)
    endpoint = options.pop("endpoint", "")
    common = {
        "prefix": address.prefix or None,
        "client_options": {
            "connect_timeout": timedelta(seconds=patience.connect_seconds),
            "read_timeout": timedelta(seconds=patience.read_seconds),
            "timeout": timedelta(hours=6),
            "allow_http": endpoint.startswith("http://"),
        },
        "retry_config": {
            "max_retries": patience.retries,
            "retry_timeout": timedelta(seconds=patience.retry_seconds),
            "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
        },
    }
    try:
        return _MAKERS[address.scheme](address.bucket, endpoint, options, common)
    except (BaseError, ValueError) as error:
        raise ConfigError(f"{address} cannot be opened", hint=_CREDENTIALS, field="artifacts") from error


def _s3(bucket: str, endpoint: str, options: dict[str, str], common: dict[str, Any]) -> Any:
    config = {**options, **({"endpoint": endpoint} if endpoint else {})}
    return S3Store(bucket, config=cast(Any, config), **common)


def _gs(bucket: str, endpoint: str, options: dict[str, str], common: dict[str, Any]) -> Any:
    return GCSStore(bucket, config=cast(Any, {"base_url": endpoint} if endpoint else {}), **common)


def _az(bucket: str, endpoint: str, options: dict[str, str], common: dict[str, Any]) -> Any:
    config = {"account_name": options["account"]} if "account" in options else {}
    return AzureStore(bucket, config=cast(Any, {**config, **({"endpoint": endpoint} if endpoint else {})}), **common)


_MAKERS = {"s3": _s3, "gs": _gs, "az": _az}
_HINT = "try again; if it happens again, the store or what stands before it changes what is sent"
_CREDENTIALS = "check the credentials in the environment, such as AWS_ACCESS_KEY_ID"
