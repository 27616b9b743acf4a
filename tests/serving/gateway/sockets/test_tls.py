"""TLS of the data port: wrong files are named before it starts, and new ones are followed while it serves."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import subprocess

import pytest
import trustme
import uvloop

from shoal.core.errors import ConfigError
from shoal.core.tls import TlsFiles
from shoal.core.tls import server_context as following
from shoal.serving.gateway.sockets.tls import PROTOCOLS, server_context
from support.certificates import Certificates
from support.listening import RawClient, get, listening
from support.tools import needs


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
    for each in folder.iterdir():
        each.chmod(0o600)
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


ROTATIONS = 5
CLIENTS = 4


def test_rotation_under_load_drops_nobody(tmp_path):
    """Clients that open connection after connection, and one that keeps its own, while the files change."""
    own = Certificates(tmp_path)
    certificate, key = own.issue()
    context = following(TlsFiles(certificate=certificate, key=key), PROTOCOLS, itertools.count(0, 2).__next__)
    answers, serials = [], set()

    async def ask(port, stopping):
        while not stopping.is_set():
            async with RawClient.connect(port, tls=own.client()) as client:
                answers.append(await client.ask(get("/")))
                serials.add(client.writer.get_extra_info("peercert")["serialNumber"])

    async def main():
        stopping = asyncio.Event()
        async with (
            listening(ssl_context=context) as listener,
            RawClient.connect(listener.port, tls=own.client()) as kept,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(CLIENTS):
                group.create_task(ask(listener.port, stopping))
            for number in range(ROTATIONS):
                answers.append(await kept.ask(get("/")))
                own.issue()
                known = len(serials)
                while len(serials) == known:
                    await asyncio.sleep(0.001)
                assert len(serials) > number
            answers.append(await kept.ask(get("/")))
            stopping.set()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(main(), 60))
    assert {status for status, _ in answers} == {200}
    assert len(serials) >= ROTATIONS


@pytest.mark.process
@pytest.mark.parametrize(
    ("options", "spoken"),
    [
        (("-tls1",), ""),
        (("-tls1_1",), ""),
        (("-tls1_2",), "TLSv1.2"),
        (("-tls1_3",), "TLSv1.3"),
        (("-tls1_2", "-cipher", "AES128-SHA"), ""),
        (("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA"), ""),
    ],
)
def test_openssl_finds_modern_tls_only(tmp_path, options, spoken):
    own = Certificates(tmp_path)
    context = server_context(*own.issue())

    async def main():
        async with listening(ssl_context=context) as listener:
            where = ("-connect", f"127.0.0.1:{listener.port}", "-CAfile", str(own.ca), "-verify_return_error", "-brief")
            ciphers = () if "-cipher" in options or "-tls1_3" in options else ("-cipher", "ALL:@SECLEVEL=0")
            process = await asyncio.create_subprocess_exec(
                *(needs("openssl"), "s_client", *where, *options, *ciphers),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            return (await process.communicate())[0].decode(), process.returncode

    said, code = asyncio.run(asyncio.wait_for(main(), 60))
    assert (code == 0) == bool(spoken), said
    assert f"Protocol version: {spoken}" in said or not spoken
