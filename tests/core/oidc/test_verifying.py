"""Tokens: the good ones stand for somebody, and nothing else does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import example, given
from hypothesis import strategies as st

from shoal.core.access import Grant
from shoal.core.clock import ManualClock
from shoal.core.errors import Unavailable
from shoal.core.oidc import keysets
from shoal.core.oidc.issuers import ALGORITHMS, values_of
from shoal.core.oidc.keeping import KeySource
from shoal.core.oidc.verifying import MAX_TOKEN, Verifier
from support import tokens
from support.tokens import EC, ED, ISSUER, NAME, OTHER, RSA, claims, hmac_token, public_pem, raw, token


def verifier(document: bytes | None = None) -> Verifier:
    source = KeySource("", read=lambda: document or tokens.key_set(), run=lambda work: work())
    source.refresh()
    return Verifier([ISSUER], {NAME: source})


VERIFIER = verifier()


@pytest.mark.parametrize(
    "text", [token(), token(EC, "ES256", "ec"), token(ED, "EdDSA", "ed"), token(aud=["account", "shoal"])]
)
def test_a_good_token_stands_for_its_subject(text: str) -> None:
    principal, expires = VERIFIER.prove(text)
    assert principal.id == f"{NAME}#u-17"
    assert principal.grants == (Grant(("caller",), "default"),)
    assert (principal.name, principal.tenant) == ("u-17", "u-17")
    assert expires > time.time()


def test_names_and_tenants_come_from_claims() -> None:
    own = Verifier([msgspec.structs.replace(ISSUER, tenant="org")], {NAME: VERIFIER._keys[NAME]})
    principal, _ = own.prove(token(preferred_username="ada", org="lab", groups=["fraud-team", "nobody", 7]))
    assert (principal.name, principal.tenant) == ("ada", "lab")
    assert principal.grants == (Grant(("engineer",), "fraud"),)
    assert own.prove(token(org=["lab"]))[0].tenant == "u-17"


NOW = int(time.time())
FORGED = {
    "no algorithm": raw({"alg": "none", "kid": "rsa"}, claims(), b""),
    "no algorithm, other case": raw({"alg": "NONE", "kid": "rsa"}, claims(), b""),
    "algorithm is missing": raw({"kid": "rsa"}, claims()),
    "algorithm is no text": raw({"alg": ["RS256"], "kid": "rsa"}, claims()),
    "the public key as a secret": hmac_token(public_pem(RSA)),
    "an empty secret": hmac_token(b""),
    "an algorithm of the key, but not of ours": token(RSA, "RS512"),
    "another kind of key": token(EC, "ES256", "rsa"),
    "somebody else's key": token(OTHER),
    "an unknown key": token(OTHER, kid="other"),
    "a path as the key's id": token(OTHER, kid="../../../../dev/null"),
    "a statement as the key's id": token(OTHER, kid="rsa' OR '1'='1"),
    "an address as the key's id": token(OTHER, kid="https://evil.example/jwks"),
    "a number as the key's id": raw({"alg": "RS256", "kid": 1}, claims()),
    "no key's id where there are several": token(kid=None),
    "a key set of its own": token(OTHER, header={"jku": "https://evil.example/jwks"}),
    "a certificate of its own": token(OTHER, header={"x5u": "https://evil.example/c.pem", "x5c": ["MIIB"]}),
    "a key of its own": token(OTHER, header={"jwk": tokens.public_jwk(OTHER, "rsa")}),
    "something critical": token(header={"crit": ["exp"], "exp": 1}),
    "another issuer": token(iss="https://evil.example"),
    "an issuer with more": token(iss=NAME + "/"),
    "issuers in a list": raw({"alg": "RS256", "kid": "rsa"}, claims(iss=[NAME])),
    "no issuer": token(iss=None),
    "another audience": token(aud="other"),
    "other audiences": token(aud=["a", "b"]),
    "an audience with more": token(aud="shoal2"),
    "no audience": token(aud=None),
    "expired": token(exp=NOW - 3600, iat=NOW - 7200),
    "never expires": token(exp=None),
    "expires at infinity": raw({"alg": "RS256", "kid": "rsa"}, b'{"iss":"%b","exp":Infinity}' % NAME.encode()),
    "not yet": token(nbf=NOW + 3600),
    "from the future": token(iat=NOW + 3600),
    "no subject": token(sub=None),
    "huge": token(padding="x" * MAX_TOKEN),
    "encrypted": "a.b.c.d.e",
    "no token": "nonsense",
    "empty parts": "..",
    "deep": raw({"alg": "RS256", "kid": "rsa"}, b"[" * 5000),
    "a long number": raw({"alg": "RS256", "kid": "rsa"}, b'{"exp":' + b"9" * 5000 + b"}"),
    "a changed payload": ".".join((token().split(".")[0], token(sub="root").split(".")[1], token().split(".")[2])),
    "no signature": token().rpartition(".")[0] + ".",
}


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_stands_for_nobody(text: str) -> None:
    with pytest.raises(ValueError, match="token") as caught:
        VERIFIER.prove(text)
    assert len(text) < 10 or text not in str(caught.value)


def test_clocks_may_differ_a_little() -> None:
    assert VERIFIER.prove(token(exp=int(time.time()) - 5, iat=NOW - 600))


@given(st.text(max_size=300))
@example("a.b.c")
@example("eyJhbGciOiJub25lIn0.e30.")
def test_any_text_is_a_token_or_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="token"):
        VERIFIER.prove(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "b64", "crit"]), JSON), JSON)
def test_parts_of_any_shape_are_refused(header: object, payload: object) -> None:
    with pytest.raises(ValueError, match="token"):
        VERIFIER.prove(raw(header, payload))


@given(st.dictionaries(st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat", "groups"]), JSON))
def test_signed_claims_of_any_shape_are_read_or_refused(changes: dict[str, object]) -> None:
    try:
        text = token(EC, "ES256", "ec", **changes)
    except (TypeError, ValueError):
        return  # the library does not sign everything
    try:
        principal, _ = VERIFIER.prove(text)
    except ValueError as error:
        assert "token" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert principal.id.startswith(NAME)


def test_only_algorithms_with_public_keys_can_be_allowed() -> None:
    assert not [each for each in ALGORITHMS if each.startswith("HS") or each.lower() == "none"]


@pytest.mark.parametrize(
    ("claim", "values"),
    [
        ("groups", ["a", "b"]),
        ("realm.roles", ["c"]),
        ("https://x/y.z", ["d"]),
        ("scope", ["read write", "read", "write"]),
        ("number", []),
        ("missing.more", []),
    ],
)
def test_values_of_a_claim(claim: str, values: list[str]) -> None:
    held = {
        "groups": ["a", "b", "a", 3],
        "realm": {"roles": ["c"]},
        "https://x/y.z": "d",
        "scope": "read write",
        "number": 7,
    }
    assert values_of(held, claim) == values


# Keys


class Issuing:
    """An issuer that publishes what it is told to, over a clock that tests move."""

    def __init__(self, document: bytes | None) -> None:
        self.document = document
        self.fetches = 0
        self.clock = ManualClock()
        self.waiting: list[Callable[[], None]] = []
        self.source = KeySource("", read=self.read, clock=self.clock, run=self.waiting.append)
        self.verifier = Verifier([ISSUER], {NAME: self.source})

    def read(self) -> bytes:
        self.fetches += 1
        if self.document is None:
            raise OSError("it does not answer")
        return self.document

    def settle(self) -> None:
        for work in self.waiting:
            work()
        self.waiting.clear()


def test_nobody_waits_for_a_fetch_but_is_told_to_come_again() -> None:
    issuing = Issuing(tokens.key_set())
    with pytest.raises(Unavailable) as caught:
        issuing.verifier.prove(token())
    assert caught.value.retry_after == 1.0
    issuing.settle()
    assert issuing.verifier.prove(token())
    assert issuing.fetches == 1


def test_a_new_key_is_fetched_once_and_made_up_ones_cost_one_fetch_a_minute() -> None:
    issuing = Issuing(tokens.key_set())
    issuing.source.refresh()
    issuing.settle()
    issuing.clock.advance(61)
    issuing.document = tokens.key_set(tokens.public_jwk(OTHER, "new"))
    with pytest.raises(Unavailable):
        issuing.verifier.prove(token(OTHER, kid="new"))
    issuing.settle()
    assert issuing.verifier.prove(token(OTHER, kid="new"))
    for number in range(100):
        with pytest.raises(ValueError, match="does not publish"):
            issuing.verifier.prove(token(OTHER, kid=f"made-up-{number}"))
    assert (issuing.fetches, issuing.waiting) == (2, [])


def test_a_key_that_is_no_longer_published_ends() -> None:
    issuing = Issuing(tokens.key_set(tokens.public_jwk(OTHER, "old")))
    issuing.source.refresh()
    issuing.settle()
    text = token(OTHER, kid="old")
    assert issuing.verifier.prove(text)
    issuing.document = tokens.key_set()
    issuing.clock.advance(301)
    assert issuing.verifier.prove(text)
    issuing.settle()
    with pytest.raises(ValueError, match="does not publish"):
        issuing.verifier.prove(text)


def test_an_issuer_that_is_silent_changes_nothing_for_a_day() -> None:
    issuing = Issuing(tokens.key_set())
    issuing.source.refresh()
    issuing.settle()
    issuing.document = None
    for _ in range(23):
        issuing.clock.advance(3600)
        assert issuing.verifier.prove(token())
        issuing.settle()
    issuing.clock.advance(3601)
    with pytest.raises(Unavailable):
        issuing.verifier.prove(token())


def test_a_key_set_that_is_broken_leaves_the_old_one(caplog: pytest.LogCaptureFixture) -> None:
    issuing = Issuing(tokens.key_set())
    issuing.source.refresh()
    issuing.settle()
    issuing.document = b"<html>"
    issuing.clock.advance(400)
    assert issuing.verifier.prove(token())
    issuing.settle()
    assert issuing.verifier.prove(token())
    assert "cannot be fetched" in caplog.text


def test_keys_that_prove_nothing_are_left_out() -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    document = {
        "keys": [
            {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
            tokens.public_jwk(short, "short"),
            tokens.public_jwk(RSA, "sealing", use="enc"),
            tokens.public_jwk(RSA, "foreign", alg="HS256"),
            {"kty": "RSA", "kid": "broken"},
            "nonsense",
            tokens.public_jwk(RSA, "good", alg="RS256"),
        ]
    }
    found = keysets.parse(json.dumps(document).encode())
    assert list(found) == ["good"]
    assert found["good"].algorithms == ("RS256",)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps({"keys": [value]}).encode()))
def test_a_document_of_any_shape_is_a_key_set_or_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match="key set"):
        keysets.parse(document)
