"""Listening sockets: every address of a name, and errors that say what to do."""

from __future__ import annotations

import asyncio
import select
import socket

import pytest

from shoal.core.errors import ConfigError
from shoal.serving.gateway.sockets.binding import bind, reserve


class Names:
    """A resolver that knows what a test says."""

    def __init__(self, monkeypatch, *addresses: tuple[socket.AddressFamily, str]) -> None:
        found = [(family, socket.SOCK_STREAM, 6, "", (address, 0)) for family, address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def ports(host: str, port: int = 0, *, reuse_port: bool = False) -> list[tuple[str, int]]:
    sockets = asyncio.run(bind(host, port, reuse_port=reuse_port))
    names = [each.getsockname()[:2] for each in sockets]
    for each in sockets:
        each.close()
    return names


def test_all_addresses_share_one_port(monkeypatch):
    Names(monkeypatch, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2"), (socket.AF_INET, "127.0.0.1"))
    (first, port), second = ports("name")
    assert (first, second) == ("127.0.0.1", ("127.0.0.2", port))


def test_an_address_that_this_machine_lacks_is_left_out(monkeypatch):
    Names(monkeypatch, (socket.AF_INET, "192.0.2.1"), (socket.AF_INET, "127.0.0.1"))
    assert [address for address, _ in ports("name")] == ["127.0.0.1"]


def test_a_name_without_any_address_of_this_machine_is_an_error(monkeypatch):
    Names(monkeypatch, (socket.AF_INET, "192.0.2.1"))
    with pytest.raises(ConfigError, match="name:0") as caught:
        ports("name")
    assert "--host" in caught.value.hint


def test_one_taken_address_is_an_error_and_leaves_nothing_bound(monkeypatch):
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        Names(monkeypatch, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2"))
        with pytest.raises(ConfigError, match=f"name:{port} is already in use"):
            ports("name", port)
        socket.create_server(("127.0.0.1", port)).close()


def test_processes_may_share_a_port():
    with socket.socket() as first:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        first.bind(("127.0.0.1", 0))
        first.listen()
        port = first.getsockname()[1]
        assert ports("127.0.0.1", port, reuse_port=True) == [("127.0.0.1", port)]


def test_a_port_that_is_not_allowed_is_named(monkeypatch):
    def refuse(self, address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse, raising=False)
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:80 may not be used"):
        ports("127.0.0.1", 80)


def test_a_reserved_port_is_shared_by_those_who_mean_to_and_takes_no_connection_itself() -> None:
    async def main() -> None:
        reserved = await reserve("127.0.0.1", 0)
        port = reserved[0].getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=10)
        listening = [
            *(await bind("127.0.0.1", port, reuse_port=True)),
            *(await bind("127.0.0.1", port, reuse_port=True)),
        ]
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), timeout=10):
                (ready, _, _) = select.select(listening, [], [], 10)
                ready[0].accept()[0].close()
        for each in reserved + listening:
            each.close()

    asyncio.run(main())


def test_a_port_on_which_somebody_listens_cannot_be_reserved_even_if_he_would_share_it() -> None:
    async def main() -> None:
        (listening,) = await bind("127.0.0.1", 0, reuse_port=True)
        with listening, pytest.raises(ConfigError, match="already in use"):
            await reserve("127.0.0.1", listening.getsockname()[1])

    asyncio.run(main())
