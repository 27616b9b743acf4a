"""Blobs over HTTP from a control process that may fail in every way."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.control.artifacts.cache import ArtifactCache
from shoal.control.artifacts.http_source import HttpSource
from shoal.control.artifacts.retrying import Retry
from shoal.core.errors import (
    ConfigError,
    CorruptArtifact,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ShoalError,
    Unavailable,
)
from shoal.core.registry import FileEntry, Manifest
from shoal.testing.stores import name_of
from support.chaos import chaos

BODY = b"0123456789" * 50_000
NAME = name_of(BODY)
RETRY = Retry(attempts=3, sleep=lambda seconds: None)


def test_a_blob_is_read_in_parts() -> None:
    with chaos(BODY) as server, HttpSource(server.url + "/base/").open(NAME) as file:
        parts = [file.read(100_000) for _ in range(6)]
        assert b"".join(parts) == BODY
        assert server.requests == [("GET", f"/base/v1/blobs/{NAME}")]


def test_a_blob_may_come_in_chunks() -> None:
    with chaos(BODY, ["chunked"]) as server, HttpSource(server.url).open(NAME) as file:
        assert file.read() == BODY


@pytest.mark.parametrize(
    ("behaviour", "kind", "requests"),
    [
        ("status:500", Unavailable, 3),
        ("status:429", Unavailable, 3),
        ("status:302", Unavailable, 3),
        ("status:404", NotFound, 1),
        ("status:401", PermissionDenied, 1),
        ("status:403", PermissionDenied, 1),
        ("reset", Unavailable, 3),
        ("stall", Unavailable, 3),
    ],
)
def test_faults_are_told(behaviour: str, kind: type[ShoalError], requests: int) -> None:
    with chaos(BODY, [behaviour]) as server:
        with pytest.raises(kind) as caught:
            HttpSource(server.url, timeout_seconds=0.2, retry=RETRY).open(NAME)
        assert len(server.requests) == requests
        assert caught.value.hint


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [("short", Unavailable), ("trickle", Unavailable), ("chunked:cut", Unavailable), ("wrong", CorruptArtifact)],
)
def test_a_broken_answer_never_becomes_an_artifact(tmp_path: Path, behaviour: str, kind: type[ShoalError]) -> None:
    manifest = Manifest((FileEntry("a", len(BODY), NAME),))
    with chaos(BODY, [behaviour]) as server:
        source = HttpSource(server.url, timeout_seconds=0.2, retry=RETRY)
        cache = ArtifactCache(tmp_path, source, 1_000_000, retry=RETRY)
        with pytest.raises(kind):
            cache.materialise(manifest)
        server.behave(behaviour, "status:503", "ok")
        assert (cache.materialise(manifest) / "a").read_bytes() == BODY
        cache.close()


def test_nobody_there() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        HttpSource("http://127.0.0.1:1", retry=RETRY).open(NAME)


def test_only_digests_are_asked_for() -> None:
    with chaos(BODY) as server:
        with pytest.raises(InvalidInput):
            HttpSource(server.url).open("../secrets")
        assert server.requests == []


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://a:b@c", "http://x?y", "http://x:port", "http://[x"])
def test_what_is_no_url_of_control_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        HttpSource(url)
