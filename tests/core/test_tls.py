"""TLS contexts, without a socket: versions, certificates of clients, and files that change."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import ssl

import pytest

from shoal.core.errors import ConfigError
from shoal.core.tls import TlsFiles, files_of, peer_name, server_context
from support.certificates import Certificates


@pytest.fixture
def own(tmp_path):
    return Certificates(tmp_path)


def context(own, pair=None, **more):
    certificate, key = pair or own.issue()
    return server_context(
        TlsFiles(certificate=certificate, key=key, **more), ("http/1.1",), itertools.count(0, 2).__next__
    )


def handshake(server, client, name="localhost"):
    """Both ends, after as much as they have to say to each other."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)]
    for _ in range(4):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    ends[0].write(b"asked")
    assert ends[1].read(5) == b"asked"
    return ends


def serial(end):
    return end.getpeercert()["serialNumber"]


def test_old_versions_are_refused_and_new_ones_have_good_ciphers(own):
    server = context(own)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client = own.client()
        client.minimum_version = client.maximum_version = version
        name, _, bits = handshake(server, client)[0].cipher()
        assert bits >= 128
        assert version is ssl.TLSVersion.TLSv1_3 or name.startswith("ECDHE")
    names = {each["name"] for each in server.get_ciphers()}
    assert not {each for each in names if "CBC" in each or "SHA1" in each or not ("GCM" in each or "CHACHA" in each)}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_tls_1_0_and_1_1_find_nobody(own, version):
    client = own.client()
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = client.maximum_version = version
    with pytest.raises(ssl.SSLError):
        handshake(context(own), client)


def test_a_client_without_a_good_certificate_is_refused(own, tmp_path_factory):
    other = Certificates(tmp_path_factory.mktemp("other"))
    server = context(own, client_ca=own.ca)
    _, end = handshake(server, own.client(own.issue("batch", "batch.example")))
    assert peer_name(end.getpeercert()) == "batch.example"
    stranger = own.client()
    stranger.load_cert_chain(*other.issue("stranger"))
    for wrong in (own.client(), stranger):
        with pytest.raises(ssl.SSLError):
            handshake(server, wrong)


def test_a_client_may_have_no_certificate_where_it_is_optional_but_no_wrong_one(own, tmp_path_factory):
    other = Certificates(tmp_path_factory.mktemp("other"))
    server = context(own, client_ca=own.ca, clients="optional")
    assert peer_name(handshake(server, own.client())[1].getpeercert()) == ""
    stranger = own.client()
    stranger.load_cert_chain(*other.issue("stranger"))
    with pytest.raises(ssl.SSLError):
        handshake(server, stranger)


def test_a_client_that_means_another_server_goes_away_and_costs_nobody_anything(own):
    server = context(own)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, own.client(), "other.example")
    assert serial(handshake(server, own.client())[0])


@pytest.mark.parametrize("name", ["localhost", None])
def test_new_files_are_used_by_the_next_handshake_whatever_it_asks_for(own, name):
    pair = own.issue()
    server = context(own, pair)
    client = own.client()
    client.check_hostname = name is not None
    before = handshake(server, client, name)
    own.issue()
    after = handshake(server, client, name)
    assert serial(before[0]) != serial(after[0])
    before[0].write(b"still open")
    assert before[1].read(10) == b"still open"
    again = handshake(server, client, name)
    assert serial(again[0]) == serial(after[0])


def test_files_are_looked_at_once_a_second(own):
    now = [0.0]
    certificate, key = own.issue()
    server = server_context(TlsFiles(certificate=certificate, key=key), ("http/1.1",), lambda: now[0])
    first = serial(handshake(server, own.client())[0])
    own.issue()
    assert serial(handshake(server, own.client())[0]) == first
    now[0] = 1.0
    assert serial(handshake(server, own.client())[0]) != first


@pytest.mark.parametrize("harm", ["nonsense", "other key", "gone", "open to all"])
def test_new_files_that_are_no_good_are_said_once_and_the_old_ones_go_on(own, caplog, harm):
    certificate, key = own.issue()
    server = context(own, (certificate, key))
    first = serial(handshake(server, own.client())[0])
    if harm == "nonsense":
        certificate.write_text("nonsense")
    elif harm == "other key":
        os.replace(own.issue("other")[1], key)
    elif harm == "gone":
        certificate.unlink()
    else:
        own.issue()
        key.chmod(0o644)
    with caplog.at_level(logging.ERROR):
        assert {serial(handshake(server, own.client())[0]) for _ in range(3)} == {first}
    assert len(caplog.records) == 1
    own.issue()
    assert serial(handshake(server, own.client())[0]) != first


def test_an_authority_that_is_taken_out_lets_nobody_in_any_more(own, tmp_path_factory):
    other = Certificates(tmp_path_factory.mktemp("other"))
    bundle = own.folder / "clients.pem"
    bundle.write_bytes(own.ca.read_bytes() + other.ca.read_bytes())
    server = context(own, client_ca=bundle)
    client = own.client()
    client.load_cert_chain(*other.issue("guest", "guest.example"))
    assert peer_name(handshake(server, client)[1].getpeercert()) == "guest.example"
    bundle.write_bytes(own.ca.read_bytes())
    with pytest.raises(ssl.SSLError):
        handshake(server, client)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o666])
def test_a_key_that_everybody_may_read_is_refused(own, mode):
    pair = own.issue()
    pair[1].chmod(mode)
    with pytest.raises(ConfigError, match="every user of this machine") as caught:
        context(own, pair)
    assert "chmod 600" in caught.value.hint


def test_authorities_that_are_none_are_named(own):
    nonsense = own.folder / "nonsense"
    nonsense.write_text("nonsense")
    with pytest.raises(ConfigError, match="authorities of clients"):
        context(own, client_ca=nonsense)


def test_a_key_without_a_certificate_is_no_clear_text(own):
    assert files_of(None, None, None, "required") is None
    for key, authorities in ((own.ca, None), (None, own.ca)):
        with pytest.raises(ConfigError, match="no tls_cert"):
            files_of(None, key, authorities, "required")


@pytest.mark.parametrize(
    ("certificate", "name"),
    [
        (None, ""),
        ({}, ""),
        ({"subject": ((("commonName", "ann"),),)}, "ann"),
        ({"subject": ((("commonName", "ann"),),), "subjectAltName": (("DNS", "a.example"), ("DNS", "b"))}, "a.example"),
        (
            {"subjectAltName": (("DNS", "a"), ("URI", "spiffe://example.org/a"), ("email", "a@b"))},
            "spiffe://example.org/a",
        ),
        ({"subjectAltName": (("IP Address", "127.0.0.1"),)}, ""),
    ],
)
def test_a_certificate_has_one_name(certificate, name):
    assert peer_name(certificate) == name
