"""TLS settings: wrong files are named before the server starts."""

from __future__ import annotations

import ssl

import pytest
import trustme

from shoal.core.errors import ConfigError
from shoal.serving.gateway.sockets.tls import server_context


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    for name in ("a", "b"):
        certificate = authority.issue_cert("localhost")
        certificate.private_key_pem.write_to_path(folder / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.both")
    (folder / "nonsense").write_text("nonsense")
    return folder


def test_good_files_give_a_modern_context(folder):
    for context in (server_context(folder / "a.pem", folder / "a.key"), server_context(folder / "a.both")):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("certificate", "key", "named"),
    [
        ("missing.pem", "a.key", "missing.pem cannot be read"),
        ("a.pem", "missing.key", "missing.key cannot be read"),
        ("a.pem", "b.key", "cannot be used: key values mismatch"),
        ("nonsense", "a.key", "nonsense and key"),
        ("a.pem", "nonsense", "nonsense cannot be used"),
        ("a.pem", None, "a.pem cannot be used"),
    ],
)
def test_wrong_files_are_named(folder, certificate, key, named):
    with pytest.raises(ConfigError, match=named) as caught:
        server_context(folder / certificate, None if key is None else folder / key)
    assert caught.value.hint
