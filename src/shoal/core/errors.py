"""What can go wrong, in the words of the domain.

    ShoalError
    ├── InvalidInput            the request is malformed or does not fit the model
    │   ├── TooLarge            a size limit was crossed
    │   └── PoisonInput         this very input has killed a worker before
    ├── Unauthenticated         nobody knows who asks
    │   └── TooManyAttempts     wrong credentials came too often from there
    ├── PermissionDenied        who asks may not do this
    ├── QuotaExceeded           the tenant asks for more than it may
    │   └── StorageQuotaExceeded    it would keep more bytes than it may
    ├── NotFound                no such model, version, route
    ├── Conflict                it is there already, or has changed meanwhile; nothing was done
    ├── CorruptArtifact         files are not what their digests say
    ├── StorageFull             there is no room to write; nothing was done
    ├── Unsupported             a feature of the protocol that is not offered
    ├── DeadlineExceeded        the caller's or the model's time ran out
    ├── Cancelled               the caller has gone
    ├── Unavailable             not ready, shed, or no worker; may be tried again later
    │   ├── Overloaded          a bound of the queue was reached
    │   └── NotReady            the model is loading, unloading or failed to load
    ├── ModelError              the adapter raised
    │   └── ModelContract       the adapter broke its promise (wrong count, wrong type)
    ├── ConfigError             a settings file is wrong (field, line)
    └── InternalError           a bug of ours

Each class has a stable `code`; what it means in HTTP and gRPC is said in one place, `serving.gateway.problems`.
An error also says a sentence (`str(error)`), a `hint` of what to do next, and the `field` it is about.
"""

from __future__ import annotations

import msgspec

from shoal.core.redaction import redact


class ShoalError(Exception):
    """Base of all errors that a user may see.

    Args:
        message: one sentence, no trailing details of the implementation. Passwords in URLs are taken out.
        hint: what to do about it, or "".
        field: path of the field that is wrong, such as ``inputs[0].shape``, or "".
        retry_after: seconds after which trying again makes sense, or None.

    Attributes:
        request_id: which request it is about, where a client has been told; "" otherwise.
    """

    code = "internal"
    request_id: str = ""

    def __init__(self, message: str, *, hint: str = "", field: str = "", retry_after: float | None = None) -> None:
        message = redact(message)
        super().__init__(message)
        self.message = message
        self.hint = redact(hint)
        self.field = field
        self.retry_after = retry_after

    def to_record(self) -> ErrorRecord:
        """The error as a message that may cross a process border."""
        return ErrorRecord(self.code, self.message, self.hint, self.field, self.retry_after)


class InvalidInput(ShoalError):
    code = "invalid_input"


class TooLarge(InvalidInput):
    code = "too_large"


class PoisonInput(InvalidInput):
    code = "poison_input"


class Unauthenticated(ShoalError):
    code = "unauthenticated"


class TooManyAttempts(Unauthenticated):
    code = "too_many_attempts"


class PermissionDenied(ShoalError):
    code = "permission_denied"


class QuotaExceeded(ShoalError):
    code = "quota_exceeded"


class StorageQuotaExceeded(QuotaExceeded):
    code = "storage_quota_exceeded"


class NotFound(ShoalError):
    code = "not_found"


class Conflict(ShoalError):
    code = "conflict"


class CorruptArtifact(ShoalError):
    code = "corrupt_artifact"


class StorageFull(ShoalError):
    code = "storage_full"


class Unsupported(ShoalError):
    code = "unsupported"


class DeadlineExceeded(ShoalError):
    code = "deadline_exceeded"


class Cancelled(ShoalError):
    code = "cancelled"


class Unavailable(ShoalError):
    code = "unavailable"


class Overloaded(Unavailable):
    code = "overloaded"


class NotReady(Unavailable):
    code = "not_ready"


class ModelError(ShoalError):
    code = "model_error"


class ModelContract(ModelError):
    code = "model_contract"


class ConfigError(ShoalError):
    code = "config_error"


class InternalError(ShoalError):
    code = "internal"


class ErrorRecord(msgspec.Struct, frozen=True, array_like=True):
    """A `ShoalError` on its way between processes: data only, never a class name from the wire."""

    code: str
    message: str
    hint: str = ""
    field: str = ""
    retry_after: float | None = None

    def to_error(self) -> ShoalError:
        """The error this record tells of; a code that nobody knows becomes `InternalError`."""
        kind = _BY_CODE.get(self.code, InternalError)
        return kind(self.message, hint=self.hint, field=self.field, retry_after=self.retry_after)


def _all_kinds(kind: type[ShoalError]) -> list[type[ShoalError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in _all_kinds(child))]


_BY_CODE: dict[str, type[ShoalError]] = {kind.code: kind for kind in _all_kinds(ShoalError)}
