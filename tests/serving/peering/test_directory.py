from __future__ import annotations

import asyncio
import os
import socket
import ssl
from pathlib import Path

import pytest

from shoal.core.errors import ConfigError
from shoal.serving.peering.directory import PeerList, SocketFolder
from support.hop_world import until

SAFE = ssl.create_default_context()


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.fspath(path))


def test_a_folder_is_followed(tmp_path: Path) -> None:
    async def test() -> None:
        folder = SocketFolder(tmp_path / "hop")
        changes: list[set[str]] = []
        folder.on_change = lambda: changes.append({Path(path).name for path in folder.peers})
        await folder.start()
        try:
            assert folder.peers == {}
            (tmp_path / "hop").mkdir()
            bind(tmp_path / "hop" / "a.sock")
            (tmp_path / "hop" / ".a.sock.77").touch()
            (tmp_path / "hop" / "b.txt").touch()
            await until(lambda: changes == [{"a.sock"}])
            bind(tmp_path / "hop" / "b.sock")
            folder.look()
            assert changes[1:] == [{"a.sock", "b.sock"}]
            (tmp_path / "hop" / "a.sock").unlink()
            await until(lambda: changes[2:] == [{"b.sock"}])
        finally:
            await folder.close()

    asyncio.run(test())


def test_a_socket_that_was_replaced_is_another_one(tmp_path: Path) -> None:
    folder = SocketFolder(tmp_path)
    bind(tmp_path / "a.sock")
    folder.look()
    before = dict(folder.peers)
    bind(tmp_path / "new")
    (tmp_path / "new").rename(tmp_path / "a.sock")
    folder.look()
    assert folder.peers.keys() == before.keys()
    assert dict(folder.peers) != before


def test_a_list_is_what_it_says() -> None:
    peers = PeerList(["one:8070", "[::1]:8071", " # two:1", ""], lambda: SAFE)
    peers.look()
    assert {(each.host, each.port) for each in peers.peers.values()} == {("one", 8070), ("::1", 8071)}


@pytest.mark.parametrize("address", ["one", "one:", ":80", "one:0", "one:65536", "one:x", "one:-1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="not the address"):
        PeerList([address], lambda: SAFE)


def test_connections_that_check_nobody_are_refused() -> None:
    careless = ssl.create_default_context()
    careless.check_hostname = False
    careless.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigError, match="certificates"):
        PeerList(["one:1"], lambda: careless)


def test_a_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "proxies"
    peers = PeerList(file, lambda: SAFE)
    peers.look()
    assert peers.peers == {}
    file.write_text("one:1\n")
    peers.look()
    assert set(peers.peers) == {"one:1"}
    file.write_text("one:1\ntwo:broken\n")
    peers.look()
    assert set(peers.peers) == {"one:1"}
    file.write_text("# moved\ntwo:2\n")
    peers.look()
    assert set(peers.peers) == {"two:2"}
    file.unlink()
    peers.look()
    assert set(peers.peers) == {"two:2"}
