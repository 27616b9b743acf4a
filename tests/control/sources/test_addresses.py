"""Addresses of sources: what each means, and a corpus of those that mean harm."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.sources import BucketSource, FolderSource, MlflowSource, Source, parse_address
from shoal.core.errors import InvalidInput, Unsupported
from support.hostile_addresses import BAD

GOOD: list[tuple[str, Source]] = [
    ("/models/iris", FolderSource("/models/iris")),
    ("/models/iris/", FolderSource("/models/iris")),
    ("/models/50% off #1?.onnx", FolderSource("/models/50% off #1?.onnx")),
    ("/models/a@b:c", FolderSource("/models/a@b:c")),
    ("/modèles/ирис", FolderSource("/modèles/ирис")),
    ("/", FolderSource("/")),
    ("file:///models/iris", FolderSource("/models/iris")),
    ("file:/models/iris", FolderSource("/models/iris")),
    ("FILE://localhost/models/iris", FolderSource("/models/iris")),
    ("s3://models/team-a/iris", BucketSource("s3", "models", "team-a/iris")),
    ("S3://models/team-a/iris/", BucketSource("s3", "models", "team-a/iris")),
    ("s3://models", BucketSource("s3", "models")),
    ("s3://my.models-1/a b/@c:d", BucketSource("s3", "my.models-1", "a b/@c:d")),
    ("gs://models_1/iris", BucketSource("gs", "models_1", "iris")),
    ("az://container/iris", BucketSource("az", "container", "iris")),
    ("mlflow://iris/3", MlflowSource("iris", version="3")),
    ("mlflow://iris@champion", MlflowSource("iris", alias="champion")),
    ("mlflow://iris model (v2)/12", MlflowSource("iris model (v2)", version="12")),
    ("mlflow://team.iris-2@v_1-b", MlflowSource("team.iris-2", alias="v_1-b")),
]


@pytest.mark.parametrize(("text", "source"), GOOD)
def test_what_an_address_means(text: str, source: Source) -> None:
    assert parse_address(text) == source
    assert parse_address(str(source)) == source


@pytest.mark.parametrize("text", BAD, ids=[f"{index}-{text[:30]!a}" for index, text in enumerate(BAD)])
def test_what_is_no_address_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises((InvalidInput, Unsupported)) as caught:
        parse_address(text)
    assert caught.value.hint
    assert caught.value.field == "source"
    assert str(caught.value).isprintable()


def test_http_is_refused_by_name_and_tells_what_to_do() -> None:
    with pytest.raises(Unsupported, match="nothing is fetched over https") as caught:
        parse_address("https://example.org/model.onnx")
    assert "push the file" in caught.value.hint


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(InvalidInput, match="has a user or a password") as caught:
        parse_address("s3://key:secret@models/iris")
    assert "secret" not in str(caught.value.to_record())


_PLAIN = st.text(string.ascii_letters + string.digits + "-_ é中", min_size=1, max_size=12).filter(
    lambda each: each == each.strip()
)
_PREFIX = st.lists(_PLAIN, max_size=4).map("/".join)
_BUCKETS = st.from_regex(r"[a-z][a-z0-9]{1,30}[a-z0-9]", fullmatch=True)
SOURCES = st.one_of(
    st.builds(FolderSource, _PREFIX.map(lambda each: f"/{each}")),
    st.builds(BucketSource, st.sampled_from(["s3", "gs", "az"]), _BUCKETS, _PREFIX),
    st.builds(MlflowSource, _PLAIN, version=st.integers(1, 10**9).map(str)),
    st.builds(MlflowSource, _PLAIN, alias=st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)),
)


@given(SOURCES)
def test_what_is_written_is_read_again(source: Source) -> None:
    assert parse_address(str(source)) == source


_PIECES = [
    "..",
    ".",
    "/",
    "//",
    "\\",
    "%2e",
    "%",
    "@",
    ":",
    "s3",
    "file",
    "mlflow",
    "://",
    "models",
    "1",
    "\0",
    "?",
    "#",
    "[::1]",
    "é",
]


@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=3), max_size=10).map("".join))
def test_whatever_is_accepted_is_plain(text: str) -> None:
    try:
        source = parse_address(text)
    except (InvalidInput, Unsupported):
        return
    assert parse_address(str(source)) == source
    path = (
        source.path[1:]
        if isinstance(source, FolderSource)
        else source.prefix
        if isinstance(source, BucketSource)
        else ""
    )
    assert not {"", ".", ".."} & set(path.split("/")) or not path
    assert not set("\0\n\r\\") & set(str(source))
    if isinstance(source, MlflowSource):
        assert bool(source.version) != bool(source.alias)
