"""Prefixes of buckets, on a real server that speaks S3."""

from __future__ import annotations

import logging
import os
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shoal.control.sources import SourcePolicy, fetch_source
from shoal.core.errors import (
    ConfigError,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ShoalError,
    TooLarge,
    Unavailable,
    Unsupported,
)

try:
    import boto3
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends
    from moto.server import ThreadedMotoServer
except ImportError as error:
    if os.environ.get("CI"):
        raise
    pytest.skip(f"a server that speaks S3 is needed: {error.name} is not installed", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    urllib.request.urlopen(f"{endpoint}/moto-api/reset", data=b"", timeout=10).close()
    resource = boto3.resource("s3", endpoint_url=endpoint, region_name="us-east-1")
    yield resource.create_bucket(Bucket="models")
    resource.meta.client.close()


def policy(endpoint: str, **bounds: int) -> SourcePolicy:
    return SourcePolicy(buckets=("s3://models", "s3://absent"), store_options={"endpoint": endpoint}, **bounds)  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())


def test_objects_below_a_prefix_become_files(bucket: Any, endpoint: str, tmp_path: Path) -> None:
    large = os.urandom(3 * 1024 * 1024)
    for key, data in {
        "team/iris/model.onnx": large,
        "team/iris/deep/a b é+%.txt": b"x",
        "team/iris/.hidden": b"x",
        "team/iris-2/other": b"x",
        "team/iris/": b"",
        "team/iris/deep/": b"",
        "team/iris/empty": b"",
    }.items():
        bucket.put_object(Key=key, Body=data)
    fetched = fetch_source("s3://models/team/iris/", tmp_path / "in", allow=policy(endpoint))
    assert names(fetched.folder) == ["deep/a b é+%.txt", "empty", "model.onnx"]
    assert (fetched.folder / "model.onnx").read_bytes() == large
    assert (fetched.model, fetched.source) == ("iris", "s3://models/team/iris")


def test_one_object_becomes_one_file_and_a_bucket_is_a_folder(bucket: Any, endpoint: str, tmp_path: Path) -> None:
    bucket.put_object(Key="a/model.onnx", Body=b"1")
    bucket.put_object(Key="model.onnx", Body=b"2")
    one = fetch_source("s3://models/a/model.onnx", tmp_path / "one", allow=policy(endpoint))
    assert names(one.folder) == ["model.onnx"]
    whole = fetch_source("s3://models", tmp_path / "all", allow=policy(endpoint))
    assert names(whole.folder) == ["a/model.onnx", "model.onnx"]


def test_many_objects_come_in_pages(bucket: Any, endpoint: str, tmp_path: Path) -> None:
    for index in range(1100):  # behind the server's back, which is a hundred times as fast
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(bucket.name, f"many/.{index}", b"")
    bucket.put_object(Key="many/last", Body=b"")
    with pytest.raises(TooLarge, match="more than 1000 files"):
        fetch_source("s3://models/many", tmp_path / "in", allow=policy(endpoint, max_entries=1000))
    fetched = fetch_source("s3://models/many", tmp_path / "in", allow=policy(endpoint))
    assert names(fetched.folder) == ["last"]


@pytest.mark.parametrize(
    "key", ["../up", "a/../../up", "/abs", "a//b", "./dot", "back\\slash", "ctl\x01", "C:x", "x%2f..%2fy", "MODEL"]
)
def test_names_that_cannot_be_those_of_files_are_refused(bucket: Any, endpoint: str, tmp_path: Path, key: str) -> None:
    bucket.put_object(Key="p/model", Body=b"1")
    bucket.put_object(Key=f"p/{key}", Body=b"1")
    with pytest.raises(InvalidInput) as caught:
        fetch_source("s3://models/p", tmp_path / "in", allow=policy(endpoint))
    assert caught.value.hint
    assert os.listdir(tmp_path) == []


def test_budgets_are_kept_before_bytes_are_fetched(bucket: Any, endpoint: str, tmp_path: Path) -> None:
    bucket.put_object(Key="p/model", Body=b"1" * 1000)
    with pytest.raises(TooLarge, match="more than 999 bytes"):
        fetch_source("s3://models/p", tmp_path / "in", allow=policy(endpoint, max_bytes=999))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("s3://models/nothing", NotFound),
        ("s3://absent/x", NotFound),
        ("s3://models", NotFound),
        ("s3://other/x", PermissionDenied),
        ("https://models.s3.amazonaws.com/x", Unsupported),
    ],
)
def test_what_is_not_there_or_not_allowed(
    bucket: Any, endpoint: str, tmp_path: Path, address: str, kind: type[ShoalError]
) -> None:
    with pytest.raises(kind):
        fetch_source(address, tmp_path / "in", allow=policy(endpoint))
    assert os.listdir(tmp_path) == []


def test_a_store_that_is_down(bucket: Any, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        fetch_source("s3://models/x", tmp_path / "in", allow=policy("http://127.0.0.1:9"))


def test_an_option_that_the_store_does_not_know(tmp_path: Path) -> None:
    allow = SourcePolicy(buckets=None, store_options={"colour": "red"})
    with pytest.raises(ConfigError, match="does not know one of its options"):
        fetch_source("s3://models/x", tmp_path / "in", allow=allow)


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shoal.control.sources.buckets", None)
    with pytest.raises(ConfigError) as caught:
        fetch_source("s3://models/x", tmp_path / "in", allow=SourcePolicy(buckets=None))
    assert caught.value.hint == "pip install 'shoal[control]'"
