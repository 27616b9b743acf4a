"""Addresses of sources, parsed once and by one function; all that follows speaks of its values.

    /models/iris, file:///models/iris     a folder or a file
    s3://bucket/prefix, gs://, az://      the objects below a prefix
    mlflow://MODEL/3, mlflow://MODEL@champion

There is nothing to decode, so nothing can be decoded twice: '%', '?', '#', ';' and '\\' are refused where there is a
scheme, and so are users, passwords, ports, '.', '..' and empty parts, and characters that cannot be seen. What is left
reads the same to everybody, and is compared part by part.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NoReturn

import msgspec

from shoal.core.errors import InvalidInput, Unsupported

MAX_LENGTH = 2048
KINDS = "a folder (/models/iris), s3://BUCKET/PREFIX, gs://, az://, mlflow://MODEL/VERSION or mlflow://MODEL@ALIAS"
BUCKETS = ("s3", "gs", "az")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)\Z", re.DOTALL)
_BUCKET = re.compile(r"(?=.*[a-z])(?!0x|xn--)[a-z0-9](?:[a-z0-9_-]|\.(?![.-])){1,61}[a-z0-9]\Z", re.ASCII)
_VERSION = re.compile(r"[1-9][0-9]{0,9}\Z", re.ASCII)
_ALIAS = re.compile(r"[A-Za-z0-9_-]{1,255}\Z", re.ASCII)
_ENCODED = re.compile(r"[%?#;]")
_USER = re.compile(r"//[^/]*@")


class FolderSource(msgspec.Struct, frozen=True):
    """A folder or file of this machine, by its absolute path."""

    path: str

    def __str__(self) -> str:
        return self.path


class BucketSource(msgspec.Struct, frozen=True):
    """The objects of a bucket (or container) whose names begin with the parts of a prefix."""

    scheme: str
    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.prefix}"


class MlflowSource(msgspec.Struct, frozen=True):
    """A version of a model in an MLflow registry, by its number or by an alias; the other one is ""."""

    model: str
    version: str = ""
    alias: str = ""

    def __str__(self) -> str:
        return f"mlflow://{self.model}@{self.alias}" if self.alias else f"mlflow://{self.model}/{self.version}"


Source = FolderSource | BucketSource | MlflowSource


def parse_address(text: str) -> Source:
    """What an address means.

    Raises:
        InvalidInput: it is none, or could be read in two ways.
        Unsupported: nothing is fetched by its scheme.
    """
    if not text or len(text) > MAX_LENGTH:
        _refuse(text, "is empty" if not text else f"is longer than {MAX_LENGTH} characters")
    if any(unicodedata.category(each)[0] == "C" or each in "\u2028\u2029" for each in text):
        _refuse(text, "has a character that cannot be seen")
    if "\\" in text:
        _refuse(text, "has a backslash", "write '/' between the parts")
    match = _SCHEME.match(text)
    if match is None:
        return _folder(text, text)
    scheme, rest = match[1].lower(), match[2]
    if scheme in BUCKETS:
        return _bucket(text, scheme, rest)
    if scheme == "file":
        return _file(text, rest)
    if scheme == "mlflow":
        return _mlflow(text, rest)
    return _unsupported(text, scheme)


def _unsupported(text: str, scheme: str) -> NoReturn:
    if scheme in ("http", "https"):
        hint = f"download it yourself and push the file; otherwise: {KINDS}"
        raise Unsupported(f"nothing is fetched over {scheme}", hint=hint, field="source")
    hint = f"use {KINDS}; a file whose name has ':' is written with its whole path"
    raise Unsupported(f"nothing is fetched by the scheme {scheme[:40]!a}", hint=hint, field="source")


def _file(text: str, rest: str) -> FolderSource:
    _nothing_encoded(text, rest)
    for prefix in ("//localhost/", "///"):
        if rest.startswith(prefix):
            return _folder(text, "/" + rest[len(prefix) :])
    if rest.startswith("//"):
        _refuse(text, "names another machine", "write file:///PATH")
    return _folder(text, rest)


def _folder(text: str, path: str) -> FolderSource:
    if path.startswith("//") or not path.startswith("/"):
        _refuse(text, "is no absolute path", "write the whole path, beginning with one '/'")
    return FolderSource("/" + _parts(text, path[1:]))


def _bucket(text: str, scheme: str, rest: str) -> BucketSource:
    _nothing_encoded(text, rest)
    bucket, _, prefix = _authority(text, rest).partition("/")
    if "@" in bucket:
        _refuse(text, "has a user or a password", "credentials come from the environment")
    if not _BUCKET.match(bucket):
        what = "bucket" if scheme != "az" else "container"
        _refuse(text, f"names no {what}", "3 to 63 lower-case letters, digits, '-' and '.', with a letter, and no port")
    return BucketSource(scheme, bucket, _parts(text, prefix))


def _mlflow(text: str, rest: str) -> MlflowSource:
    _nothing_encoded(text, rest)
    rest = _authority(text, rest)
    if ":" in rest:
        _refuse(text, "names a server or a port", "the server is given by MLFLOW_TRACKING_URI, the address says MODEL")
    model, sign, name = rest.rpartition("@") if "@" in rest else rest.rpartition("/")
    if not sign or not model or {"@", "/"} & set(model) or model in (".", "..") or model != model.strip():
        _refuse(text, "names no model and version", "write mlflow://MODEL/VERSION or mlflow://MODEL@ALIAS")
    if sign == "/" and not _VERSION.match(name):
        _refuse(text, f"names no version: {name[:40]!a}", "a version is a number; an alias is written MODEL@ALIAS")
    if sign == "@" and not _ALIAS.match(name):
        _refuse(text, f"names no alias: {name[:40]!a}", "an alias has letters, digits, '-' and '_'")
    return MlflowSource(model, version=name) if sign == "/" else MlflowSource(model, alias=name)


def _authority(text: str, rest: str) -> str:
    if not rest.startswith("//"):
        _refuse(text, "lacks '//' behind its scheme", f"use {KINDS}")
    return rest[2:]


def _parts(text: str, path: str) -> str:
    """The path without a last '/'; each of its parts is a plain name."""
    path = path.removesuffix("/")
    if any(part in ("", ".", "..") for part in path.split("/")) and path:
        _refuse(text, "has '.', '..' or nothing between two '/'", "write the path as it is, without detours")
    if any(len(part.encode()) > 255 for part in path.split("/")):
        _refuse(text, "has a part that is longer than 255 bytes")
    return path


def _nothing_encoded(text: str, rest: str) -> None:
    if _ENCODED.search(rest):
        _refuse(
            text, "has '%', '?' or '#'", "names are written as they are: nothing is decoded, and nothing may follow"
        )


def _refuse(text: str, why: str, hint: str = "") -> NoReturn:
    shown = _USER.sub("//***@", text, count=1)[:100]  # it may have been a password
    raise InvalidInput(f"the address {shown!a} {why}", hint=hint or f"use {KINDS}", field="source")
