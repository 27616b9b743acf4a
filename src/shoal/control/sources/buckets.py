"""The objects below a prefix of a bucket, through `obstore` (S3, GCS, Azure).

Names are the rest behind the prefix. Credentials come from the usual environment variables, the endpoint from the
policy: an address says neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import obstore
from obstore import exceptions
from obstore.store import AzureStore, GCSStore, S3Store

from shoal.control.sources.addresses import BucketSource
from shoal.control.sources.policy import SourcePolicy
from shoal.control.sources.staging import CHUNK, Staging
from shoal.core.errors import (
    ConfigError,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ShoalError,
    Unauthenticated,
    Unavailable,
)

_STORES: dict[str, Callable[..., Any]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
_TRIES: dict[str, Any] = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}


def fetch_bucket(source: BucketSource, policy: SourcePolicy, staging: Staging) -> None:
    """Copy the objects below a prefix, or the one object of that name, to the staging folder.

    Raises:
        ShoalError: nothing is there, the store refuses or cannot be reached, a name is refused, a budget is used up.
    """
    with _telling(source):
        store = _store(source, policy)
        found = _below(store, source, staging) or _itself(store, source, staging)
        for path, size in found.items():
            staging.add(_name(path, source), size, partial(_chunks, store, path))


def _below(store: Any, source: BucketSource, staging: Staging) -> dict[str, int]:
    """Sizes of the objects below the prefix; empty objects that only mark a folder are left out."""
    found: dict[str, int] = {}
    for page in obstore.list(store, prefix=source.prefix or None, chunk_size=1000):
        for each in page:
            staging.visit()
            found[each["path"]] = each["size"]
    folders = {source.prefix, *(parent for path in found for parent in _parents(path))}
    return {path: size for path, size in found.items() if size or path not in folders}


def _itself(store: Any, source: BucketSource, staging: Staging) -> dict[str, int]:
    if not source.prefix:
        return {}
    staging.visit()
    return {source.prefix: obstore.head(store, source.prefix)["size"]}


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _name(path: str, source: BucketSource) -> str:
    if path == source.prefix:
        return path.rpartition("/")[2]
    return path[len(source.prefix) + 1 :] if source.prefix else path


def _store(source: BucketSource, policy: SourcePolicy) -> Any:
    plain = policy.store_options.get("endpoint", "").startswith("http://")
    client = {"timeout": "60s", "connect_timeout": "10s", "allow_http": plain}
    return _STORES[source.scheme](
        source.bucket, config=policy.store_options or None, client_options=client, retry_config=_TRIES
    )


def _chunks(store: Any, path: str) -> Iterator[bytes]:
    for chunk in obstore.get(store, path).stream(min_chunk_size=CHUNK):
        yield bytes(chunk)


@contextmanager
def _telling(source: BucketSource) -> Iterator[None]:
    try:
        yield
    except (exceptions.BaseError, OSError) as error:
        raise _tell(str(source), error) from error


def _tell(name: str, error: Exception) -> ShoalError:
    text = str(error)
    if isinstance(error, exceptions.NotFoundError | FileNotFoundError) or "NoSuchBucket" in text:
        return NotFound(f"{name} does not exist", hint="check the bucket and the prefix", field="source")
    if isinstance(error, exceptions.PermissionDeniedError | PermissionError):
        return PermissionDenied(
            f"the store refuses to show {name}", hint="check what the credentials may", field="source"
        )
    if isinstance(error, exceptions.UnauthenticatedError):
        hint = "set the usual variables of the store, such as AWS_ACCESS_KEY_ID"
        return Unauthenticated(f"the store does not know who asks for {name}", hint=hint, field="source")
    if isinstance(error, exceptions.UnknownConfigurationKeyError):
        return ConfigError("the store does not know one of its options", hint="check `store_options`", field="source")
    if isinstance(error, exceptions.InvalidPathError) or "InvalidPath" in text or "illegal character" in text:
        hint = "rename it at its source: no '.', '..' or nothing between two '/'"
        return InvalidInput(
            f"an object below {name} has a name that cannot be that of a file", hint=hint, field="source"
        )
    return Unavailable(
        f"{name} cannot be reached", hint="check the store and its endpoint, and try again", field="source"
    )
