"""What an object store's client raises, in the words of `core.errors`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from obstore import exceptions
from obstore.exceptions import BaseError

from shoal.core.errors import ConfigError, NotFound, PermissionDenied, ShoalError, StorageFull, Unavailable

_REFUSED = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_FULL = ("507 ", "QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "EntityTooLarge")


@contextmanager
def telling(store: str) -> Iterator[None]:
    """Turn the client's error into a typed one; `store` is how the store is called in its sentence."""
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        raise _tell(store, error) from error


def _tell(store: str, error: Exception) -> ShoalError:
    if any(word in str(error) for word in _NO_BUCKET):
        return ConfigError(f"there is no bucket for the artifact store {store}", hint="make it, or name another")
    if isinstance(error, FileNotFoundError):
        return NotFound(f"there is no such object in the artifact store {store}")
    if isinstance(error, _REFUSED):
        hint = "check the credentials in the environment, and what they may do with this bucket"
        return PermissionDenied(f"the artifact store {store} refuses", hint=hint)
    if any(word in str(error) for word in _FULL):
        return StorageFull(f"the artifact store {store} has no room left", hint="raise its quota, or collect garbage")
    hint = "check that it runs and can be reached; what is cached on the machines is served without it"
    return Unavailable(f"the artifact store {store} does not answer as it should", hint=hint, retry_after=1.0)
