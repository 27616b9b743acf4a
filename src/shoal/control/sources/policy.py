"""What may be fetched, and how much of it: decided from an address alone, before anything is opened."""

from __future__ import annotations

import os

import msgspec

from shoal.control.sources.addresses import BucketSource, FolderSource, Source, parse_address
from shoal.core.errors import ConfigError, PermissionDenied, ShoalError


class SourcePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a fetch. By default only MLflow's own artifacts are allowed.

    Attributes:
        roots: folders below which files may lie; None: anywhere (for the command line, where it is the user's machine).
        buckets: such as ``s3://models/team-a``; what lies below is allowed; None: whatever the credentials open.
        mlflow: whether an MLflow registry may be asked.
        store_options: passed to the object store's client, such as ``{"endpoint": "http://127.0.0.1:9000"}``;
            credentials come from the usual environment variables.
        max_entries: files and folders of one source.
        max_bytes: of all its files.
        seconds: for all of it.
    """

    roots: tuple[str, ...] | None = ()
    buckets: tuple[str, ...] | None = ()
    mlflow: bool = True
    store_options: dict[str, str] = {}
    max_entries: int = 10_000
    max_bytes: int = 64 * 1024**3
    seconds: float = 3600.0

    def check(self, source: Source) -> None:
        """Refuse a source that is not allowed.

        Raises:
            PermissionDenied: the sentence says what is.
            ConfigError: the policy itself is wrong.
        """
        if isinstance(source, FolderSource):
            self.root_of(source)
        elif isinstance(source, BucketSource):
            self._check_bucket(source)
        elif not self.mlflow:
            raise PermissionDenied("nothing may be imported from MLflow here", field="source")

    def root_of(self, source: FolderSource) -> str:
        """The allowed folder that a path lies below (or is); "/" if any is allowed.

        Raises:
            PermissionDenied: none.
        """
        if self.roots is None:
            return "/"
        for root in self.roots:
            if os.path.isabs(root) and _is_below(source.path, os.path.normpath(root)):
                return os.path.normpath(root)
        told = f"{source.path[:100]!a} is not below a folder that files may be fetched from"
        raise PermissionDenied(told, hint=_allowed("folders", self.roots), field="source")

    def _check_bucket(self, source: BucketSource) -> None:
        if self.buckets is None or any(_covers(_bucket(each), source) for each in self.buckets):
            return
        told = f"{str(source)[:100]!a} is not in a bucket that may be fetched from"
        raise PermissionDenied(told, hint=_allowed("buckets", self.buckets), field="source")


def _allowed(what: str, names: tuple[str, ...]) -> str:
    return f"allowed {what}: {', '.join(names)}" if names else f"no {what} are allowed here"


def _is_below(path: str, root: str) -> bool:
    return root == "/" or path == root or path.startswith(root + "/")


def _covers(allowed: BucketSource, wanted: BucketSource) -> bool:
    same = (allowed.scheme, allowed.bucket) == (wanted.scheme, wanted.bucket)
    return same and (not allowed.prefix or _is_below(wanted.prefix, allowed.prefix))


def _bucket(text: str) -> BucketSource:
    try:
        source = parse_address(text)
    except ShoalError as error:
        raise ConfigError(f"wrong in the list of buckets: {error}", hint=error.hint, field="buckets") from error
    if not isinstance(source, BucketSource):
        raise ConfigError(f"{text[:100]!a} is no bucket", hint="such as s3://models/team-a", field="buckets")
    return source
