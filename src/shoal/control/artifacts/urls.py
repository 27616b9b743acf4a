"""URLs of artifact stores, parsed once: a folder's path, or the address of a bucket. No I/O.

    /srv/artifacts, file:///srv/artifacts
    s3://BUCKET/PREFIX?endpoint=https://minio:9000&region=eu-central-1
    gs://BUCKET/PREFIX
    az://CONTAINER/PREFIX?account=NAME

Secrets never stand in a URL, which is logged, shown and kept: they come from the environment, as for the provider's own
tools (`AWS_ACCESS_KEY_ID`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_KEY`, ..., or the machine's role).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from shoal.core.errors import ConfigError

OPTIONS = {"s3": ("endpoint", "region"), "gs": ("endpoint",), "az": ("endpoint", "account")}
"""The schemes of object stores, and what may follow the question mark."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,99}\Z")
_PREFIX = re.compile(r"[A-Za-z0-9_.=+-]+(/[A-Za-z0-9_.=+-]+)*\Z")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """Where an object store is.

    Attributes:
        scheme: one of `OPTIONS`.
        bucket: or container.
        prefix: what all keys begin with, without slashes at its ends; "" for none.
        options: of the URL; see `OPTIONS`.
    """

    scheme: str
    bucket: str
    prefix: str
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/")


def parse_store_url(url: str) -> Path | BucketAddress:
    """A folder, or an object store.

    Raises:
        ConfigError: it is neither, or holds a secret.
    """
    if not url or "\0" in url:
        raise ConfigError("the URL of the artifact store is empty or no text", hint=_HINT, field="artifacts")
    if not _SCHEME.match(url):
        return Path(url)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError("the URL of the artifact store cannot be read", hint=_HINT, field="artifacts") from error
    if parts.scheme == "file":
        return _folder(parts)
    if parts.scheme not in OPTIONS:
        raise ConfigError(f"there is no artifact store of the kind {parts.scheme!a}", hint=_HINT, field="artifacts")
    return _bucket(parts)


def _folder(parts: SplitResult) -> Path:
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or not parts.path:
        raise ConfigError(
            "the URL of the artifact store names no folder of this machine", hint=_HINT, field="artifacts"
        )
    return Path(unquote(parts.path))


def _bucket(parts: SplitResult) -> BucketAddress:
    if "@" in parts.netloc:
        raise ConfigError("the URL of the artifact store holds a name or password", hint=_SECRETS, field="artifacts")
    if not _BUCKET.match(parts.netloc):
        raise ConfigError(f"{parts.netloc[:80]!a} cannot be a bucket", hint=_HINT, field="artifacts")
    prefix = parts.path.strip("/")
    if prefix and (not _PREFIX.match(prefix) or {".", ".."} & set(prefix.split("/"))):
        hint = "letters, digits, '_', '-', '.', '=', '+', with '/' between the parts"
        raise ConfigError(f"{prefix[:80]!a} cannot be the prefix of an artifact store", hint=hint, field="artifacts")
    return BucketAddress(parts.scheme, parts.netloc, prefix, _options(parts))


def _options(parts: SplitResult) -> tuple[tuple[str, str], ...]:
    options = parse_qsl(parts.query, keep_blank_values=True)
    allowed = OPTIONS[parts.scheme]
    for name, value in options:
        if name not in allowed:
            hint = f"{parts.scheme}:// takes {', '.join(allowed)}. {_SECRETS}"
            raise ConfigError(
                f"the URL of the artifact store has the option {name[:40]!a}", hint=hint, field="artifacts"
            )
        if name == "endpoint" and (not value.startswith(("http://", "https://")) or "@" in value):
            raise ConfigError("the endpoint of the artifact store is no http(s) URL", hint=_SECRETS, field="artifacts")
    return tuple(options)


_HINT = "a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"
_SECRETS = "keys are taken from the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
