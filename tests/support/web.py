"""Web servers for tests of fetches: one that answers as it is told, and traps that nobody may reach."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

Reply = Callable[[str, socket.socket], None]


@dataclass
class Web:
    """A server of this machine.

    Attributes:
        port: where it listens.
        asked: the request lines and hosts that came, in order.
        connections: how many there were.
    """

    port: int
    asked: list[tuple[str, str]] = field(default_factory=list)
    connections: int = 0


@contextmanager
def web(pages: Mapping[str, bytes | Reply], host: str = "127.0.0.1") -> Iterator[Web]:
    """Answer paths with whole raw answers, or as a function does; anything else with 404."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, 0), family=family)
    server = Web(listening.getsockname()[1])

    def serve() -> None:
        while True:
            client, _ = listening.accept()
            with client:
                server.connections += 1
                if not _one(client, pages, server):
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server
    finally:
        with socket.create_connection((host, server.port)) as last:
            last.sendall(b"STOP / HTTP/1.1\r\n\r\n")
        thread.join()
        server.connections -= 1
        listening.close()


def _one(client: socket.socket, pages: Mapping[str, bytes | Reply], server: Web) -> bool:
    data = b""
    while b"\r\n\r\n" not in data:
        part = client.recv(65536)
        if not part:
            return True
        data += part
    if data.startswith(b"STOP "):
        return False
    line, *headers = data.decode("latin-1").split("\r\n")
    path = line.split(" ")[1]
    hosts = [each.split(": ", 1)[1] for each in headers if each.lower().startswith("host: ")]
    server.asked.append((path, hosts[0] if hosts else ""))
    page = pages.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    try:
        if callable(page):
            page(path, client)
        else:
            client.sendall(page)
    except OSError:
        pass  # whoever asked has gone: what some tests are about
    return True


def page(body: bytes = b"hello", headers: str = "", status: str = "200 OK") -> bytes:
    """A whole answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def moved(location: str, status: str = "302 Found") -> bytes:
    """A redirect."""
    return page(b"", f"Location: {location}\r\n", status)
