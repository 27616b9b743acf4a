"""An issuer's public keys, from the JSON Web Key Set that it publishes. No I/O.

A key is good for the algorithms of its own kind only: an RSA key never for HMAC, whatever a token says. Symmetric keys,
keys for encryption, and RSA keys that are too short are left out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

MAX_KEYS = 64
MAX_BYTES = 256 * 1024
"""Bytes of a key set."""
MIN_RSA_BITS = 2048

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",)}
_PRIVATE = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


class PublicKey(NamedTuple):
    """A key that signatures are verified with.

    Attributes:
        key: as the library has it.
        algorithms: that it is good for.
    """

    key: Any
    algorithms: tuple[str, ...]


def parse(document: bytes) -> dict[str, PublicKey]:
    """The usable keys by their ids; one without an id is under "".

    Raises:
        ValueError: it is not a key set, or holds no usable key.
    """
    if len(document) > MAX_BYTES:
        raise ValueError(f"the key set has more than {MAX_BYTES} bytes")
    try:
        records = msgspec.json.decode(document, type=dict[str, Any]).get("keys")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        records = None
    if not isinstance(records, list) or len(records) > MAX_KEYS:
        raise ValueError(f'this is not a key set: {{"keys": [...]}} with at most {MAX_KEYS} keys')
    found: dict[str, PublicKey] = {}
    for record in records:
        if isinstance(record, dict) and (key := _key(record)) is not None:
            kid = record.get("kid", "")
            found[kid if isinstance(kid, str) else ""] = key
    if not found:
        raise ValueError("the key set holds no key that signatures can be verified with")
    return found


def _key(record: dict[str, Any]) -> PublicKey | None:
    if record.get("use", "sig") != "sig":
        return None
    public = {name: value for name, value in record.items() if name not in _PRIVATE}
    try:
        key, algorithms = _read(public)
    except Exception:  # noqa: BLE001 - whatever the library thinks of a foreign key, it is left out
        return None
    if (own := record.get("alg")) is not None:
        algorithms = tuple(each for each in algorithms if each == own)
    return PublicKey(key, algorithms) if algorithms else None


def _read(record: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    from jwt import algorithms

    kind = record.get("kty")
    if kind == "RSA":
        key = algorithms.RSAAlgorithm.from_jwk(record)
        return key, _RSA if key.key_size >= MIN_RSA_BITS else ()
    if kind == "EC":
        return algorithms.ECAlgorithm.from_jwk(record), _CURVES.get(str(record.get("crv")), ())
    if kind == "OKP":
        return algorithms.OKPAlgorithm.from_jwk(record), ("EdDSA",)
    return None, ()
