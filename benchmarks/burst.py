"""Opens many connections at once, sends one request on each, and waits for all answers.

One thread with epoll, so that the client adds as little as it can: the time is from the first `connect` to the last
byte of the last answer.
"""

from __future__ import annotations

import os
import resource
import select
import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.driver import Request


@dataclass(frozen=True)
class Burst:
    """How long until all had answered, until half had, and how many did well."""

    seconds: float
    median_seconds: float
    answered: int


def http_message(request: Request) -> bytes:
    """The request as HTTP/1.1 bytes."""
    url, body = urlsplit(request.url), request.body.read_bytes()
    fields = [("host", url.netloc), ("content-length", str(len(body))), *request.headers]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"POST {url.path} HTTP/1.1\r\n{head}\r\n".encode() + body


def complete(answer: bytes) -> bool:
    """Whether the bytes hold a whole answer with a content-length."""
    head, gap, body = answer.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(gap and lengths) and len(body) >= int(lengths[0])


def burst(request: Request, connections: int, core: int | None = 1, limit: float = 20.0) -> Burst:
    """Runs it once; `limit` is when to give up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, connections + 200)), hard))
    own = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        return _run(http_message(request), urlsplit(request.url).port or 80, connections, limit)
    finally:
        os.sched_setaffinity(0, own)


def _run(message: bytes, port: int, connections: int, limit: float) -> Burst:
    poll = select.epoll()
    begun = time.monotonic()
    sockets: dict[int, socket.socket] = {}
    for _ in range(connections):
        each = socket.socket()
        each.setblocking(False)
        each.connect_ex(("127.0.0.1", port))
        poll.register(each.fileno(), select.EPOLLOUT)
        sockets[each.fileno()] = each
    try:
        times, good = _answers(poll, sockets, message, begun, begun + limit)
    finally:
        poll.close()
        for each in sockets.values():
            each.close()
    last = times[-1] if times else limit
    return Burst(last if good == connections else limit, times[len(times) // 2] if times else limit, good)


def _answers(
    poll: select.epoll, sockets: dict[int, socket.socket], message: bytes, begun: float, until: float
) -> tuple[list[float], int]:
    """When each answer was there, and how many of them were good."""
    received: dict[int, bytes] = {}
    times: list[float] = []
    good = 0
    while len(times) < len(sockets) and time.monotonic() < until:
        for number, event in poll.poll(0.1):
            if event & (select.EPOLLERR | select.EPOLLHUP):
                poll.unregister(number)
                times.append(time.monotonic() - begun)
            elif event & select.EPOLLOUT:
                sockets[number].sendall(message)
                poll.modify(number, select.EPOLLIN)
            else:
                part = sockets[number].recv(65536)
                received[number] = received.get(number, b"") + part
                if not part or complete(received[number]):
                    poll.unregister(number)
                    times.append(time.monotonic() - begun)
                    good += received[number].startswith(b"HTTP/1.1 200")
    return times, good
