"""What a signature says, read without believing it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.signing.claims import MAX_BYTES, PREDICATE, STATEMENT, Claim, read_claim
from shoal.core.errors import PermissionDenied

DIGEST = "ab" * 32


def statement(**changes: Any) -> dict[str, Any]:
    resources = [{"name": "m.onnx", "digest": DIGEST, "algorithm": "sha256"}]
    serialization = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": [".git"]}
    base = {
        "_type": STATEMENT,
        "predicateType": PREDICATE,
        "subject": [{"name": "m", "digest": {"sha256": DIGEST}}],
        "predicate": {"serialization": serialization, "resources": resources},
    }
    return base | changes


def predicate(**changes: Any) -> dict[str, Any]:
    return statement(predicate=statement()["predicate"] | changes)


def bundle(payload: Any = None, **changes: Any) -> dict[str, Any]:
    data = json.dumps(statement() if payload is None else payload).encode()
    envelope = {"payload": base64.b64encode(data).decode(), "payloadType": "x", "signatures": [{"sig": "AA=="}]}
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "k"}, "tlogEntries": []},
        "dsseEnvelope": envelope | changes,
    }


def test_a_claim_names_its_key_and_files() -> None:
    assert read_claim(json.dumps(bundle())) == Claim("k", {"m.onnx": DIGEST})


_RESOURCE = {"name": "m", "digest": DIGEST, "algorithm": "sha256"}


REFUSED = [
    ("", "there is no signature"),
    (" \n", "there is no signature"),
    ("{", "cannot be read"),
    ("[]", "cannot be read"),
    ("null", "cannot be read"),
    ("[" * 100_000, "cannot be read"),
    ("\ud800", "cannot be read"),
    ("-----BEGIN CERTIFICATE-----", "cannot be read"),
    (" " * MAX_BYTES + "{}", "longer than"),
    (json.dumps(bundle() | {"verificationMaterial": {"certificate": {"rawBytes": "AA=="}}}), "with a certificate"),
    (json.dumps(bundle() | {"verificationMaterial": {"publicKey": {"rawBytes": "AA=="}}}), "old format"),
    (json.dumps(bundle() | {"verificationMaterial": 7}), "cannot be read"),
    (json.dumps({"messageSignature": {}}), "cannot be read"),
    (json.dumps(bundle(signatures=[])), "several signatures, or none"),
    (json.dumps(bundle(signatures=[{"sig": "AA=="}] * 2)), "several signatures, or none"),
    (json.dumps(bundle() | {"dsseEnvelope": {"payload": "*", "signatures": [{"sig": "AA=="}]}}), "not base64"),
    (json.dumps(bundle([1])), "cannot be read"),
    (json.dumps(bundle(statement(_type="https://in-toto.io/Statement/v0.1"))), "old or unknown format"),
    (json.dumps(bundle(statement(predicateType="https://model_signing/Digests/v0.1"))), "old or unknown format"),
    (json.dumps(bundle(statement(predicateType="https://model_signing/Digests/v0.1", predicate={}))), "old or"),
    (json.dumps(bundle(statement(predicate={"resources": []}))), "cannot be read"),
    (json.dumps(bundle(predicate(serialization={"method": "shards", "shard_size": 9}))), "parts of files"),
    (json.dumps(bundle(predicate(serialization={"method": "files", "allow_symlinks": True}))), "allows links"),
    (json.dumps(bundle(predicate(serialization={"method": "files", "allow_symlinks": "false"}))), "cannot be read"),
    (json.dumps(bundle(predicate(resources=[_RESOURCE | {"algorithm": "blake3"}]))), "another digest"),
    (json.dumps(bundle(predicate(resources=[_RESOURCE, _RESOURCE]))), "names a file twice"),
    (json.dumps(bundle(predicate(resources=[{"name": "m"}]))), "cannot be read"),
]


@pytest.mark.parametrize(("text", "told"), REFUSED, ids=[f"{index}-{told}" for index, (_, told) in enumerate(REFUSED)])
def test_what_is_not_accepted_is_told(text: str, told: str) -> None:
    with pytest.raises(PermissionDenied, match=told) as caught:
        read_claim(text)
    assert caught.value.hint
    assert caught.value.field == "signature"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def _paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, each in inner for path in _paths(each, (*here, key)))]


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy


@given(st.data(), _JSON, st.booleans())
def test_anything_in_any_place_is_a_claim_or_a_typed_error(data: st.DataObject, new: Any, inside: bool) -> None:
    whole = statement() if inside else bundle()
    changed = _replaced(whole, data.draw(st.sampled_from(_paths(whole))), new)
    try:
        claim = read_claim(json.dumps(bundle(changed) if inside else changed))
    except PermissionDenied:
        return
    assert all(isinstance(each, str) for item in claim.files.items() for each in item)


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda each: each.decode("latin-1")))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(PermissionDenied):
        read_claim(text)
