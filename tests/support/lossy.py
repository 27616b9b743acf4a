"""A proxy that loses every other answer, after the request has had its effect."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def lossy(port: int) -> Iterator[tuple[int, list[bytes]]]:
    """Its port, and the answers that it has lost."""
    listening = socket.create_server(("127.0.0.1", 0))
    lost: list[bytes] = []
    ending = threading.Event()

    def run() -> None:
        number = 0
        while not ending.is_set():
            connection, _ = listening.accept()
            with connection:
                if ending.is_set():
                    return
                number += 1
                answer = _ask(port, _request(connection))
                if number % 2:
                    lost.append(answer)
                else:
                    with suppress(OSError):
                        connection.sendall(answer)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listening.getsockname()[1], lost
    finally:
        ending.set()
        socket.create_connection(listening.getsockname()).close()
        thread.join(10)
        listening.close()


def _request(connection: socket.socket) -> bytes:
    """One whole request, which asks for the connection to be closed after it."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\nconnection: close\r\n\r\n" + body


def _ask(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as control:
        control.sendall(request)
        answer = b""
        while data := control.recv(65536):
            answer += data
    return answer
