"""Buckets: the contract of all stores over a server that speaks S3, and over one that answers wrongly."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.control.artifacts.blobs import BlobStore
from shoal.control.artifacts.cache import ArtifactCache
from shoal.control.artifacts.gc import Collected, collect
from shoal.control.artifacts.objects import ObjectStore, Patience
from shoal.control.artifacts.opening import open_store
from shoal.control.artifacts.retrying import Retry
from shoal.control.artifacts.urls import BucketAddress, parse_store_url
from shoal.core.errors import (
    ConfigError,
    CorruptArtifact,
    NotFound,
    PermissionDenied,
    ShoalError,
    StorageFull,
    Unavailable,
)
from shoal.core.registry import FileEntry, Manifest
from shoal.testing.stores import BlobStoreContract, blob_of, name_of, read
from support.chaos import ChaosServer, chaos
from support.s3 import S3Server, s3

__all__ = ["s3"]

BODY = b"0123456789" * 1_000
BRIEF = Patience(connect_seconds=1, read_seconds=0.3, retries=2, retry_seconds=5)
ONCE = Retry(attempts=1)


class TestObjectStore(BlobStoreContract):
    @pytest.fixture
    def store(self, s3: S3Server) -> Iterator[BlobStore]:
        store = open_store(s3.bucket())
        yield store
        store.close()


def test_a_prefix_keeps_stores_of_one_bucket_apart(s3: S3Server) -> None:
    url = s3.bucket("one")
    open_store(url).put(*blob_of(b"data"))
    other = open_store(url.replace("/one?", "/two?"))
    assert list(other.list()) == []
    assert not other.has(name_of(b"data"))


def test_an_old_blob_that_is_put_again_is_not_collected(s3: S3Server) -> None:
    address = parse_store_url(s3.bucket())
    assert isinstance(address, BucketAddress)
    store = ObjectStore(address, young_seconds=-10)
    store.put(*blob_of(b"data"))
    first = next(iter(store.list())).modified
    assert not store.put(*blob_of(b"data"))
    again = next(iter(store.list())).modified
    assert again >= first
    assert not store.delete(name_of(b"data"), unless_newer_than=again - 1)
    assert collect([], store, now=again + 50, grace_seconds=10) == Collected(1, 4)
    assert list(store.list()) == []
    assert not store.has(name_of(b"data"))


def test_a_bucket_that_is_not_there_is_named(s3: S3Server) -> None:
    store = open_store(s3.bucket().replace("s3://bucket-", "s3://nowhere-"))
    for action in (lambda: store.put(*blob_of(b"data")), lambda: list(store.list()), lambda: store.open("a" * 64)):
        with pytest.raises(ConfigError, match=r"no bucket .* s3://nowhere-"):
            action()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChaosServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    with chaos(BODY) as server:
        yield server


def store_at(server: ChaosServer) -> ObjectStore:
    address = BucketAddress("s3", "bucket", "", (("endpoint", server.url), ("region", "us-east-1")))
    return ObjectStore(address, patience=BRIEF)


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("status:500", Unavailable),
        ("status:503", Unavailable),
        ("status:403", PermissionDenied),
        ("status:401", PermissionDenied),
        ("status:404", NotFound),
        ("status:507", StorageFull),
        ("reset", Unavailable),
        ("stall", Unavailable),
        ("short", Unavailable),
        ("trickle", Unavailable),
        ("wrong", CorruptArtifact),
    ],
)
def test_each_fault_of_a_store_is_told_in_time(
    server: ChaosServer, tmp_path: Path, behaviour: str, kind: type[ShoalError]
) -> None:
    server.behave(behaviour)
    cache = ArtifactCache(tmp_path, store_at(server), 100_000, retry=ONCE)
    manifest = Manifest((FileEntry("a", len(BODY), name_of(BODY)),))
    with pytest.raises(kind) as caught:
        cache.materialise(manifest)
    assert 1 <= len(server.requests) <= 12, "tried again, a bounded number of times"
    assert caught.value.hint
    assert "hidden" not in f"{caught.value} {caught.value.hint}"
    assert cache.held == 0
    server.behave("ok")
    assert (cache.materialise(manifest) / "a").read_bytes() == BODY, "and works when the store does again"
    cache.close()


def test_a_store_that_recovers_costs_only_time(server: ChaosServer) -> None:
    server.behave("status:503", "reset", "ok")
    assert read(store_at(server), name_of(BODY)) == BODY


def test_a_refusal_is_not_tried_again(server: ChaosServer) -> None:
    server.behave("status:403")
    with pytest.raises(PermissionDenied):
        store_at(server).open(name_of(BODY))
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("behaviour", "kind"), [("status:500", Unavailable), ("status:507", StorageFull), ("status:403", PermissionDenied)]
)
def test_an_upload_that_fails_is_told(server: ChaosServer, behaviour: str, kind: type[ShoalError]) -> None:
    server.behave("status:404", behaviour)
    with pytest.raises(kind):
        store_at(server).put(*blob_of(b"data"))


def test_an_upload_that_arrives_cut_is_refused(server: ChaosServer) -> None:
    """The server says it has kept it, and then that it has another size."""
    server.behave("status:404", "ok")
    with pytest.raises(CorruptArtifact, match="another size"):
        store_at(server).put(*blob_of(b"data"))


def test_a_server_that_is_not_there_is_told(server: ChaosServer) -> None:
    store = ObjectStore(
        BucketAddress("s3", "bucket", "", (("endpoint", "http://127.0.0.1:1"), ("region", "x"))), patience=BRIEF
    )
    with pytest.raises(Unavailable, match="s3://bucket"):
        store.has("a" * 64)
    with pytest.raises(Unavailable):
        store.put("a" * 64, 0, io.BytesIO())


@pytest.mark.parametrize(
    "url",
    [
        "gs://bucket/prefix?endpoint=http://127.0.0.1:1",
        "az://container/prefix?account=name&endpoint=http://127.0.0.1:1",
    ],
)
def test_other_clouds_are_opened(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")
    monkeypatch.setenv("GOOGLE_SKIP_SIGNATURE", "true")
    address = parse_store_url(url)
    assert isinstance(address, BucketAddress)
    with pytest.raises(Unavailable):
        ObjectStore(address, patience=BRIEF).has("a" * 64)
