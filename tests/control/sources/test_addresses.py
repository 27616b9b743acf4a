"""Addresses of sources: what each means, and a corpus of those that mean harm."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.sources import BucketSource, FolderSource, MlflowSource, Source, parse_address
from shoal.core.errors import InvalidInput, Unsupported

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

BAD = [
    # no scheme, an empty one, one that is not offered
    "", " ", "iris", "./iris", "../iris", "~/iris", ":", "://", "://models/iris", ":///etc/passwd", "//host/share", "///etc",
    "http://127.0.0.1/m", "https://example.org/m.onnx", "HTTPS://example.org/m", "http:/etc/passwd", "ftp://host/m",
    "data:,model", "javascript:alert(1)", "runs:/1/model", "models:/iris/1", "mlflow-artifacts:/1/x", "dbfs:/m",
    "hdfs://host/m", "gopher://127.0.0.1:6379/_x", "unix:///run/docker.sock", "file+http://h/x", "s3a://models/iris",
    "C:/models/iris", "c:\\models\\iris", "jar:file:///x!/y", "view-source:file:///etc/passwd",
    # ways out of a folder
    "/models/../etc/passwd", "/models/./iris", "/..", "/models/..", "/models//iris", "/models/iris//",
    "file:///models/../../etc/passwd", "file:///models/%2e%2e/etc/passwd", "file:///models/%252e%252e/etc",
    "file:///models/..%2f..%2fetc", "file:///models/..;/etc", "file:models/iris", "file:", "file:../x", "file:////etc",
    "file://../etc", "file:///models/a\\..\\b", "\\\\host\\share", "/models\\iris", "s3://models/../other",
    "s3://models/a/../../b", "s3://models//a", "s3://models/./a", "s3://models/%2e%2e/b", "gs://models/a/..",
    # other machines, users, ports
    "file://127.0.0.1/etc/passwd", "file://example.org/m", "file://user@localhost/etc/passwd", "file://localhost:80/etc",
    "file://localhost", "file://[::1]/etc", "s3://user:password@models/iris", "s3://key@models/iris", "s3://models:9000/iris",
    "s3://127.0.0.1/iris", "s3://127.0.0.1:9000/iris", "s3://[::1]/iris", "s3://[::ffff:169.254.169.254]/x",
    "s3://2130706433/iris", "s3://0177.0.0.1/iris", "s3://0x7f000001/iris", "s3://169.254.169.254/latest", "s3:///iris",
    "s3:models/iris", "s3://", "s3://a", "s3://Models/iris", "s3://-models/iris", "s3://models-/iris", "s3://mo..dels/iris",
    "s3://mo.-dels/i", "s3://xn--bcher-kva/iris", "s3://bücher/iris", "s3://mоdels/iris", "s3://models./iris", "s3://.models/x",
    "s3://" + "a" * 64 + "/iris", "s3://" + "a" * 300 + "/iris", "az://account@container/x", "gs://mo dels/x",
    # what follows an address
    "s3://models/iris?versionId=1", "s3://models/iris#x", "s3://models/iris?endpoint=http://evil", "file:///m?x", "file:///m#x",
    # characters that cannot be seen, or are none
    "/models/iris\0.onnx", "/models/iris\n", "/models/\r\nHost: x", "/models/\x1b[2J", "/models/\u202egnp.exe",
    "/models/\u200biris", "/models/\ufeffiris", "/models/\u2028x", "/models/\ud800", "s3://models/\0", "mlflow://iris/1\0",
    "/models/\x7f", "\0", "file\0:///etc", "mlflow://iris\u00ad/1", "/" + "é" * 128, "/" + "a" * 256, "/a" * 1025, "s3://m" * 500,
    # MLflow
    "mlflow:", "mlflow://", "mlflow:///", "mlflow:iris/1", "mlflow:/iris/1", "mlflow://iris", "mlflow://iris/", "mlflow:///1",
    "mlflow://iris/0", "mlflow://iris/01", "mlflow://iris/-1", "mlflow://iris/1.0", "mlflow://iris/latest", "mlflow://iris/٣",
    "mlflow://iris/１", "mlflow://iris/99999999999", "mlflow://iris/1/2", "mlflow://iris/Production", "mlflow://iris@",
    "mlflow://@champion", "mlflow://iris@a@b", "mlflow://iris@a/1", "mlflow://iris/1@a", "mlflow://iris@a b", "mlflow://iris@ä",
    "mlflow://iris@..", "mlflow://../1", "mlflow://./1", "mlflow://..@a", "mlflow://a/../1", "mlflow:// iris/1", "mlflow://iris /1",
    "mlflow://127.0.0.1:5000/iris/1", "mlflow://user:pw@host/iris/1", "mlflow://[::1]/1", "mlflow://iris%2f..%2f/1",
    "mlflow://iris%2e/1", "mlflow://iris/1?x=y", "mlflow://iris/1#x", "mlflow://iris\\x/1", "mlflow://iris@" + "a" * 256,
]  # fmt: skip


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
