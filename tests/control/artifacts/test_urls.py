"""Which stores a URL may name, and that no secret stands in one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.folder import FolderStore
from shoal.control.artifacts.opening import open_store
from shoal.control.artifacts.urls import BucketAddress, parse_store_url
from shoal.core.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/srv/models", Path("/srv/models")),
        ("models", Path("models")),
        ("file:///srv/my%20models", Path("/srv/my models")),
        ("s3://bucket", BucketAddress("s3", "bucket", "")),
        ("s3://bucket/a/b/", BucketAddress("s3", "bucket", "a/b")),
        (
            "s3://bucket/a?endpoint=http://x:1&region=r",
            BucketAddress("s3", "bucket", "a", (("endpoint", "http://x:1"), ("region", "r"))),
        ),
        ("gs://bucket/a", BucketAddress("gs", "bucket", "a")),
        ("az://container/a?account=me", BucketAddress("az", "container", "a", (("account", "me"),))),
    ],
)
def test_urls_of_stores(url: str, expected: object) -> None:
    assert parse_store_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://host/x",
        "ftp://host/x",
        "file://other/x",
        "file:",
        "file:///x?y",
        "s3:///x",
        "s3://key:secret@bucket/x",
        "s3://bucket/x?access_key_id=a",
        "s3://bucket/x?aws_secret_access_key=a",
        "s3://bucket/x?token=a",
        "s3://bucket/x?endpoint=http://key:secret@host",
        "s3://bucket/x?endpoint=host",
        "s3://bucket/../x",
        "s3://bucket/a//b",
        "s3://bucket/%2e%2e/x",
        "s3://-/x",
        "gs://bucket/x?region=r",
        "az://c/x?sas=a",
        "s3://[bucket/x",
        "a\0b",
    ],
)
def test_what_is_none_is_refused_and_no_secret_is_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_store_url(url)
    assert caught.value.hint
    assert "secret@" not in str(caught.value)


@given(st.text(max_size=60), st.sampled_from(["", "s3://", "gs://", "az://", "file://", "http://"]))
def test_any_text_is_understood_or_refused(text: str, scheme: str) -> None:
    try:
        found = parse_store_url(scheme + text)
    except ConfigError:
        return
    if isinstance(found, BucketAddress):
        assert found.scheme in ("s3", "gs", "az")
        assert ".." not in found.prefix.split("/")


def test_a_folder_is_opened(tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path / "a")), FolderStore)
    assert isinstance(open_store(f"file://{tmp_path}/a"), FolderStore)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "shoal.control.artifacts.objects", raising=False)
    with pytest.raises(ConfigError, match="obstore") as caught:
        open_store("s3://bucket/x")
    assert "shoal[control]" in caught.value.hint
