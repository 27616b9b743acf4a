"""Keys of signatures."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.signing.keys import check_private_key, new_key, trusted_keys
from shoal.core.errors import ConfigError

_PEM = serialization.Encoding.PEM
_PKCS8 = serialization.PrivateFormat.PKCS8


def _public(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> str:
    return key.public_key().public_bytes(_PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_new_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    public = new_key(tmp_path / "key.pem")
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    check_private_key(tmp_path / "key.pem")
    (name,) = trusted_keys([public])
    assert len(name) == 64


def test_a_new_key_never_replaces_a_file_or_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("there", "link", "no/folder"):
        with pytest.raises(ConfigError, match="cannot be written"):
            new_key(tmp_path / name)
    assert (tmp_path / "there").read_text() == "precious"
    assert not (tmp_path / "elsewhere").exists()


def test_white_space_around_a_trusted_key_does_not_matter(tmp_path: Path) -> None:
    public = new_key(tmp_path / "key.pem")
    assert trusted_keys([public]) == trusted_keys([f"\n{public}\n\n"])


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_curves_of_the_library_are_known(curve: ec.EllipticCurve) -> None:
    assert len(trusted_keys([_public(ec.generate_private_key(curve))])) == 1


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (ed25519.Ed25519PrivateKey.generate(), "only keys of the curves"),
        (ec.generate_private_key(ec.SECP256K1()), "only keys of the curves"),
        (rsa.generate_private_key(65537, 2048), "only keys of the curves"),
    ],
)
def test_other_kinds_of_trusted_keys_are_refused(key: ed25519.Ed25519PrivateKey, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        trusted_keys([_public(key)])
    assert caught.value.field == "trusted_keys[0]"


def test_a_private_key_among_the_trusted_ones_is_refused_and_not_shown(tmp_path: Path) -> None:
    new_key(tmp_path / "key.pem")
    text = (tmp_path / "key.pem").read_text()
    with pytest.raises(ConfigError, match="private key was given") as caught:
        trusted_keys([text])
    assert text.splitlines()[1] not in str(caught.value.to_record())


@given(st.text(max_size=200))
def test_any_text_is_a_key_or_a_typed_error(text: str) -> None:
    with pytest.raises(ConfigError):
        trusted_keys([text])


def test_private_keys_that_cannot_be_used_are_told_by_path(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    secret = serialization.BestAvailableEncryption(b"word")
    (tmp_path / "locked").write_bytes(key.private_bytes(_PEM, _PKCS8, secret))
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(_PEM, _PKCS8, serialization.NoEncryption())
    (tmp_path / "other").write_bytes(other)
    (tmp_path / "public").write_text(_public(key))
    (tmp_path / "noise").write_bytes(b"\0\xff" * 50)
    expected = {
        "locked": "has a password",
        "other": "no key of the curves",
        "public": "no private key in PEM form",
        "noise": "no private key in PEM form",
        "absent": "cannot be read: No such file",
        ".": "cannot be read: Is a directory",
    }
    for name, told in expected.items():
        with pytest.raises(ConfigError, match=told):
            check_private_key(tmp_path / name)
