"""What a signature says, read without believing it.

`read_claim` takes the text apart far enough to say in a sentence what is wrong with it, and to refuse what
`model-signing` would let pass: older formats, files that are left out by name, links, parts of files. Whether the claim
is *true* is found out by `library`, with a trusted key.
"""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

from shoal.core.errors import PermissionDenied

MAX_BYTES = 16 * 1024 * 1024
"""Longest text of a signature: 10,000 files need about a fourth of it."""

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
_RESIGN = "sign the files again: `shoal push --sign KEY.pem`, or `model_signing sign key` of a present version"


_T = TypeVar("_T")


class _Key(msgspec.Struct, frozen=True):
    hint: str = ""


class _Material(msgspec.Struct, frozen=True):
    key: _Key | None = msgspec.field(default=None, name="publicKey")


class _Signature(msgspec.Struct, frozen=True):
    sig: str


class _Envelope(msgspec.Struct, frozen=True):
    payload: str
    signatures: list[_Signature]


class _Bundle(msgspec.Struct, frozen=True):
    material: _Material = msgspec.field(name="verificationMaterial")
    envelope: _Envelope = msgspec.field(name="dsseEnvelope")


class _Resource(msgspec.Struct, frozen=True):
    name: str
    digest: str
    algorithm: str


class _Serialization(msgspec.Struct, frozen=True):
    method: str
    allow_symlinks: bool = False


class _Predicate(msgspec.Struct, frozen=True):
    serialization: _Serialization
    resources: list[_Resource]


class _Kind(msgspec.Struct, frozen=True):
    type: str = msgspec.field(name="_type")
    predicate: str = msgspec.field(name="predicateType")


class _Statement(msgspec.Struct, frozen=True):
    predicate: _Predicate


class Claim(msgspec.Struct, frozen=True):
    """What a signature says.

    Attributes:
        key: name of the key that it claims to be made with (see `keys.TrustedKey.name`).
        files: SHA-256 of each file, by path.
    """

    key: str
    files: dict[str, str]


def read_claim(text: str) -> Claim:
    """Read a signature.

    Raises:
        PermissionDenied: there is none, it cannot be read, or it is of a form that is not accepted.
    """
    if not text.strip():
        raise PermissionDenied("there is no signature", hint="push with `--sign KEY.pem`", field="signature")
    if len(text) > MAX_BYTES:
        raise _unreadable(f"it is longer than {MAX_BYTES} characters")
    bundle = _decode(text.encode("utf-8", "surrogatepass"), _Bundle)
    if bundle.material.key is None:
        raise _refused("was made with a certificate or an identity, not with a key", "sign with a key")
    if not bundle.material.key.hint:
        raise _refused("is of an old format, which does not say which key it was made with")
    if len(bundle.envelope.signatures) != 1:
        raise _refused("holds several signatures, or none")
    return Claim(bundle.material.key.hint, _files(_payload(bundle.envelope)))


def _payload(envelope: _Envelope) -> bytes:
    try:
        return base64.b64decode(envelope.payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unreadable("its payload is not base64") from error


def _files(payload: bytes) -> dict[str, str]:
    kind = _decode(payload, _Kind)
    if kind.type != STATEMENT or kind.predicate != PREDICATE:
        raise _refused("is of an old or unknown format")
    predicate = _decode(payload, _Statement).predicate
    if predicate.serialization.method != "files":
        raise _refused("covers parts of files instead of whole files")
    if predicate.serialization.allow_symlinks:
        raise _refused("allows links between files")
    if any(each.algorithm != "sha256" for each in predicate.resources):
        raise _refused("uses another digest than SHA-256")
    files = {each.name: each.digest for each in predicate.resources}
    if len(files) != len(predicate.resources):
        raise _refused("names a file twice")
    return files


def _decode(data: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable("it is not the JSON of a Sigstore bundle with a model's statement") from error


def _unreadable(why: str) -> PermissionDenied:
    return PermissionDenied(f"the signature cannot be read: {why}", hint=_RESIGN, field="signature")


def _refused(what: str, hint: str = _RESIGN) -> PermissionDenied:
    return PermissionDenied(f"the signature {what}, and is not accepted", hint=hint, field="signature")
