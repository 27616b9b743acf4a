"""Keys: private ones are read from the path that the user gives, and from nowhere else; trusted ones are text.

Elliptic curves only (P-256, P-384, P-521), as `model-signing` has them. A private key is never copied, kept or written
to a log; what is said about one that cannot be used names its path and never its content.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shoal.core.errors import ConfigError

CURVES = ("secp256r1", "secp384r1", "secp521r1")
_MAKE = "`openssl ecparam -name prime256v1 -genkey -noout -out key.pem` makes one"
_PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key whose signatures are valid.

    Attributes:
        pem: in the one form in which it is written by everybody.
        name: SHA-256 of that, as 64 hexadecimal digits: how a signature says which key it was made with.
    """

    pem: bytes
    name: str


def trusted_keys(texts: Iterable[str]) -> dict[str, TrustedKey]:
    """Public keys by their names.

    Raises:
        ConfigError: one of them is no public key of a supported curve; a private key is refused as well.
    """
    keys = (_trusted(text, f"trusted_keys[{index}]") for index, text in enumerate(texts))
    return {key.name: key for key in keys}


def _trusted(text: str, field: str) -> TrustedKey:
    if "PRIVATE KEY" in text:
        hint = "give the public key: `openssl ec -in key.pem -pubout`; the private one must be considered known now"
        raise ConfigError("a private key was given where a public one is meant", hint=hint, field=field)
    try:
        key = serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        hint = "PEM text that begins with -----BEGIN PUBLIC KEY-----"
        raise ConfigError("this is no public key", hint=hint, field=field) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise ConfigError("only keys of the curves P-256, P-384 and P-521 are supported", hint=_MAKE, field=field)
    pem = _public_pem(key)
    return TrustedKey(pem, hashlib.sha256(pem).hexdigest())


def check_private_key(path: Path) -> None:
    """Whether a private key can be used, so that what is wrong is said in our words.

    Raises:
        ConfigError: it is not there, cannot be read, has a password, or is of another kind.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"the private key {path} cannot be read: {error.strerror}", field="key") from error
    except TypeError as error:
        hint = "write it without one for this step: `openssl ec -in key.pem -out plain.pem`"
        raise ConfigError(f"the private key {path} has a password", hint=hint, field="key") from error
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{path} is no private key in PEM form", hint=_MAKE, field="key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        raise ConfigError(f"{path} is no key of the curves P-256, P-384 or P-521", hint=_MAKE, field="key")


def new_key(path: Path) -> str:
    """Make a P-256 key pair: the private key goes to a new file that only its owner can read.

    Returns:
        The public key, as PEM text.

    Raises:
        ConfigError: the file is there already, or cannot be written.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    secret = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            file.write(secret)
    except OSError as error:
        raise ConfigError(f"the key cannot be written to {path}: {error.strerror}", hint="name a new file") from error
    return _public_pem(key.public_key()).decode()


def _public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
