"""Heads are bounded, and come in time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.controls import listening

WHOLE = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.fixture
def connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.setattr("shoal.control.api.prompt.HEAD_SECONDS", 0.1)
    with listening(tmp_path) as client:
        port = int(client.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as made:
            yield made


def answer(connection: socket.socket) -> bytes:
    data = b""
    while b"}" not in data:
        data += connection.recv(65536)
    return data


@pytest.mark.parametrize("part", [b"", b"GET", WHOLE[:-2]])
def test_a_head_that_does_not_come_ends_the_connection(connection: socket.socket, part: bytes) -> None:
    connection.sendall(part)
    assert connection.recv(100) == b""


def test_so_does_the_second_on_the_same_connection(connection: socket.socket) -> None:
    for _ in range(2):
        connection.sendall(WHOLE)
        assert b" 200 " in answer(connection)
    connection.sendall(WHOLE[:10])
    assert connection.recv(100) == b""


def test_an_answered_connection_may_rest(connection: socket.socket) -> None:
    connection.sendall(WHOLE)
    assert b" 200 " in answer(connection)
    connection.settimeout(0.3)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(10)
    connection.sendall(WHOLE)
    assert b" 200 " in answer(connection)


def test_a_request_that_takes_longer_is_not_cut_off(connection: socket.socket) -> None:
    connection.sendall(b"GET /v1/feed?after=0&wait=0.4 HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert b" 200 " in answer(connection)


def test_a_head_has_a_bound(connection: socket.socket) -> None:
    got = b""
    with suppress(OSError):
        connection.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 1_000_000)
    with suppress(OSError):
        got = connection.recv(1000)
    assert got == b"" or b" 400 " in got


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: localhost\r\nhost: evil\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost : localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
)
def test_no_http_is_refused(connection: socket.socket, head: bytes) -> None:
    connection.sendall(head)
    assert connection.recv(1000)[9:12] in (b"400", b"421", b"")
