"""An issuer of tokens for tests: its keys, its key set, and tokens good and forged."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import algorithms

from shoal.core.access import Grant
from shoal.core.oidc.issuers import Issuer

NAME = "https://login.example.org/realms/ml"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()

ISSUER = Issuer(
    issuer=NAME,
    audience="shoal",
    keys="keys.json",
    algorithms=("RS256", "ES256", "EdDSA"),
    grants={"fraud-team": (Grant(("engineer",), "fraud"),), "callers": (Grant(("caller",), "default"),)},
)


def public_jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    """The public half of a key, as an issuer publishes it."""
    kind = {rsa.RSAPrivateKey: algorithms.RSAAlgorithm, ec.EllipticCurvePrivateKey: algorithms.ECAlgorithm}
    handler = next((each for base, each in kind.items() if isinstance(key, base)), algorithms.OKPAlgorithm)
    return {**json.loads(handler.to_jwk(key.public_key())), "kid": kid, "use": "sig", **more}


def key_set(*extra: dict[str, Any]) -> bytes:
    """The issuer's keys."""
    keys = [public_jwk(RSA, "rsa"), public_jwk(EC, "ec"), public_jwk(ED, "ed"), *extra]
    return json.dumps({"keys": keys}).encode()


def claims(**changes: Any) -> dict[str, Any]:
    """Of a good token; None leaves one out."""
    now = int(time.time())
    made = {"iss": NAME, "aud": "shoal", "sub": "u-17", "iat": now, "exp": now + 600, "groups": ["callers"], **changes}
    return {name: value for name, value in made.items() if value is not None}


def token(key: Any = RSA, alg: str = "RS256", kid: str | None = "rsa", header: Any = None, **changes: Any) -> str:
    """A signed token."""
    headers = {**({} if kid is None else {"kid": kid}), **(header or {})}
    return jwt.encode(claims(**changes), key, algorithm=alg, headers=headers)


def raw(header: object, payload: object, signature: bytes = b"x") -> str:
    """A token of any parts, unsigned."""
    parts = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in (header, payload)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, signature))


def public_pem(key: Any) -> bytes:
    """A public key as a file has it: what an attacker tries as the secret of HMAC."""
    return bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def hmac_token(secret: bytes, alg: str = "HS256", kid: str = "rsa") -> str:
    """A token that is signed with a secret; made by hand, as the library refuses a public key there."""
    unsigned = raw({"alg": alg, "typ": "JWT", "kid": kid}, claims()).rpartition(".")[0]
    signature = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
