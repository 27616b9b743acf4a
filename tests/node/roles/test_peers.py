"""How gateways and proxies find each other, and whose the services are that run without being called."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import cast

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from shoal.core import tls
from shoal.core.clock import monotonic
from shoal.core.errors import ConfigError
from shoal.core.metrics import Metrics
from shoal.core.settings.node import NodeSettings
from shoal.core.settings.split import host_and_port
from shoal.node.roles.peers import Shares, directory_of, listen
from shoal.serving.hop.policy.choice import Choice
from shoal.serving.hop.proxy.server import ProxyServer
from shoal.serving.hop.remote import RemoteModels
from shoal.serving.hop.sending.calls import Calls, RemoteDispatch
from shoal.serving.peering.directory import PeerList, SocketFolder
from support.calls import RecordedCall
from support.gateway_fakes import FakeModels
from support.hop_world import oracle_models, until


async def a_byte(host: str, port: int, context: ssl.SSLContext) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        return await reader.readexactly(1)
    finally:
        writer.close()


def settings(**fields: object) -> NodeSettings:
    return NodeSettings.model_validate(fields)


def issue(folder: Path) -> dict[str, str]:
    """Files of a new authority, and of a certificate that it has signed, over those that were there."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    paths = {name: folder / f"{name}.pem" for name in ("cert", "key", "authority")}
    certificate.cert_chain_pems[0].write_to_path(paths["cert"])
    certificate.private_key_pem.write_to_path(paths["key"])
    authority.cert_pem.write_to_path(paths["authority"])
    paths["key"].chmod(0o600)
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture
def peers(tmp_path: Path) -> dict[str, str]:
    return issue(tmp_path)


@given(st.lists(st.text("abc+@-", min_size=1, max_size=9), min_size=1, max_size=20), st.integers(1, 5))
def test_a_service_is_kept_up_where_gateways_send_its_calls_and_nowhere_else(addresses: list[str], count: int) -> None:
    names = [f"proxy-{number}" for number in range(1, count + 1)]
    shares = {name: Shares(name, names) for name in names}
    choice = Choice(hot_rows=100)
    choice.update(names)
    for address in addresses:
        dispatch = RemoteDispatch(cast(Calls, None), address, "", pure=True)
        assert [name for name in names if shares[name].owns(address)] == list(choice.owners(dispatch.key))


def test_a_folder_is_of_sockets_and_addresses_are_of_machines(tmp_path: Path, peers: dict[str, str]) -> None:
    assert isinstance(directory_of(settings(proxies_at=str(tmp_path))), SocketFolder)
    assert isinstance(directory_of(settings(proxies_at="a:1,b:2", peers=peers)), PeerList)
    assert isinstance(directory_of(settings(directory=tmp_path / "list", peers=peers)), PeerList)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "needs to know its proxies"),
        ({"proxies_at": "10.0.0.1:9090"}, "need certificates"),
        ({"directory": "list"}, "need certificates"),
    ],
)
def test_what_is_missing_is_named(fields: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        directory_of(settings(**fields))


@pytest.mark.parametrize("wrong", ["cert", "key", "authority"])
def test_certificates_that_cannot_be_used_are_told_of(wrong: str, peers: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        directory_of(settings(proxies_at="a:1", peers={**peers, wrong: str(tmp_path / "none")}))


def test_two_directories_are_one_too_many() -> None:
    with pytest.raises(ValueError, match="give one of them"):
        settings(proxies_at="x", directory="y")


@pytest.mark.parametrize("place", [None, "9090", "host:", ":9090", "host:99999", "host:port"])
def test_a_proxy_without_a_place_to_listen_says_what_one_is(place: str | None) -> None:
    async def main() -> None:
        server = ProxyServer(FakeModels(), name="one", metrics=Metrics())
        with pytest.raises(ConfigError, match="needs a place") as told:
            await listen(server, settings(listen=place))
        assert "unix:PATH" in told.value.hint

    asyncio.run(main())


def test_over_tcp_it_listens_with_certificates_or_not_at_all(peers: dict[str, str], tmp_path: Path) -> None:
    async def main() -> None:
        server = ProxyServer(FakeModels(), name="one", metrics=Metrics())
        with pytest.raises(ConfigError, match="need certificates"):
            await listen(server, settings(listen="127.0.0.1:0"))
        with pytest.raises(ConfigError, match="cannot be read"):
            await listen(server, settings(listen="127.0.0.1:0", peers={**peers, "key": str(tmp_path / "none")}))
        place = await listen(server, settings(listen="127.0.0.1:0", peers=peers))
        host, port = host_and_port(place)
        context = ssl.create_default_context(cafile=peers["authority"])
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await a_byte(host, port, context)  # no certificate is shown
        await server.close()

    asyncio.run(main())


def test_both_sides_follow_their_certificates_and_open_connections_stay(
    peers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authority is another one afterwards, too: nothing of before would be believed."""
    monkeypatch.setattr(tls, "LOOK_SECONDS", 0.05)

    async def main() -> None:
        server = ProxyServer(oracle_models(), name="one", metrics=Metrics())
        place = await listen(server, settings(listen="127.0.0.1:0", peers=peers))
        at = f"localhost:{host_and_port(place)[1]}"
        gateway = RemoteModels(directory_of(settings(proxies_at=at, peers=peers)), metrics=Metrics())

        async def answered(number: int) -> int:
            """A call is answered; the number of the certificate that the gateway has shown."""
            call = RecordedCall(number, arrived=monotonic())
            gateway.find("m").dispatch.submit(call)
            await until(lambda: call.outcomes)
            assert call.answered == b"m:%d" % number
            (guest,) = server._guests
            return int(guest.connection.fact("peercert")["serialNumber"], 16)

        try:
            await gateway.start()
            await gateway.discover("m")
            first = await answered(1)
            issue(tmp_path)
            await asyncio.sleep(0.1)
            assert await answered(2) == first
            for guest in list(server._guests):
                guest.connection.abort()
            await until(lambda: not gateway.proxies.open)
            await until(lambda: gateway.proxies.usable)
            assert await answered(3) != first
        finally:
            await gateway.close()
            await server.close()

    asyncio.run(main())


def test_new_certificates_that_are_no_good_are_not_used(
    peers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOOK_SECONDS", 0.0)
    directory = directory_of(settings(proxies_at="a:1", peers=peers))
    directory.look()
    (peer,) = directory.peers.values()
    assert peer.context is not None
    first = peer.context()
    assert peer.context() is first
    Path(peers["cert"]).write_text("nonsense")
    assert peer.context() is first
    issue(tmp_path)
    second = peer.context()
    assert second is not first
    assert (second.verify_mode, second.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_an_address_with_colons_of_its_own_is_in_brackets() -> None:
    assert host_and_port("[::1]:80") == ("::1", 80)
