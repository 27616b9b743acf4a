"""Clients that vanish, stall, trickle, corrupt and crowd, beside some that behave: those that behave notice nothing."""

from __future__ import annotations

import resource
import socket
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from chaos.harness.campaign import Campaign, campaign
from chaos.harness.injectors import until
from chaos.harness.ledger import canary, strangers
from chaos.harness.models import paced, right
from chaos.harness.relay import any_harm, chaos_relay
from chaos.harness.sizes import PATIENCE, size
from support.processes import descriptors

pytestmark = [pytest.mark.process, pytest.mark.timeout(PATIENCE)]

IMPATIENT = {"SHOAL_LIMITS__HEADER_SECONDS": "1", "SHOAL_LIMITS__BODY_SECONDS": "1", "SHOAL_LIMITS__IDLE_SECONDS": "3"}
"""Time limits of the server, so that a campaign need not wait for the usual ones."""


def request(number: int) -> bytes:
    """A `predict_all` over HTTP/1.1 that asks to be the connection's last."""
    body = b'{"inputs":["%b"]}' % canary(number).encode()
    head = b"POST /v2/models/paced/predict_all HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def test_a_network_that_misbehaves(tmp_path: Path) -> None:
    """Each of many connections goes through a relay that delays, stalls, resets, cuts, trickles or corrupts it."""
    count = size(100, 10_000)
    capacity = paced(tmp_path, "paced", workers=1)
    with campaign("network", tmp_path, environment=IMPATIENT) as chaos:
        chaos.warm(right("paced"))
        chaos.untold = count
        with (
            chaos.load(right("paced"), rate=capacity / 4),
            chaos_relay(chaos.node.port, any_harm, chaos.seed) as relay,
        ):
            for first in range(0, count, 50):
                crowd_through(relay.port, range(first, first + 50), chaos)
        chaos.figures["connections"] = relay.connections


def crowd_through(port: int, numbers: range, chaos: Campaign) -> None:
    """Send these requests at once, some callers leave; what comes back is no bug and nobody else's."""
    with ExitStack() as open_ones:
        links = []
        for number in numbers:
            link = open_ones.enter_context(socket.create_connection(("127.0.0.1", port), timeout=0.2))
            with suppress(OSError):
                link.sendall(request(number))
            if chaos.random.random() < 0.7:
                links.append((number, link))
            else:
                link.close()
        for number, link in links:
            told = answer(link)
            assert b"HTTP/1.1 500" not in told, told
            assert set(strangers(told.decode("latin-1"))) <= {canary(number)}


def answer(link: socket.socket) -> bytes:
    """All that comes until the connection ends, or nothing more comes for a while."""
    found = bytearray()
    with suppress(OSError):
        while piece := link.recv(65_536):
            found += piece
    return bytes(found)


def test_slow_headers(tmp_path: Path) -> None:
    """Connections that send their headers byte by byte are cut off in time; P99 beside them is told, not asserted."""
    count = size(50, 500)
    paced(tmp_path, "paced", workers=1)
    with campaign("slow_headers", tmp_path, environment=IMPATIENT) as chaos:
        chaos.warm(right("paced"))
        with chaos.load(right("paced"), rate=100) as load:
            load.reached(100)
            alone = load.ledger.percentile(0.99)
            before = load.ledger.ended
            with ExitStack() as crowd:
                links = [
                    crowd.enter_context(socket.create_connection(("127.0.0.1", chaos.node.port))) for _ in range(count)
                ]
                ended = trickle(links, request(1), seconds=1 + 4)
            load.reached(before + 100)
            chaos.figures |= {
                "slow": count,
                "p99_ms_alone": round(alone * 1000, 1),
                "p99_ms_beside": round(load.ledger.percentile(0.99, since=before) * 1000, 1),
            }
        assert ended == count, f"{count - ended} slow connections were not cut off"


def trickle(links: list[socket.socket], data: bytes, seconds: float) -> int:
    """Send a byte on every connection, again and again; returns how many the server has ended."""
    ended: set[socket.socket] = set()
    end = time.monotonic() + seconds
    for byte in data:
        for link in links:
            if link not in ended and over(link, bytes((byte,))):
                ended.add(link)
        if len(ended) == len(links) or time.monotonic() > end:
            break
        time.sleep(0.1)
    return len(ended)


def over(link: socket.socket, byte: bytes) -> bool:
    """Whether a connection has been ended by the other side; else the byte is sent."""
    link.setblocking(False)
    try:
        if link.recv(4096) == b"":
            return True
    except BlockingIOError:
        pass
    except OSError:
        return True
    try:
        link.send(byte)
    except OSError:
        return True
    return False


def test_descriptors_run_out(tmp_path: Path) -> None:
    """A crowd takes all descriptors that a server may have: who is connected is served, and newcomers are once it is gone."""
    paced(tmp_path, "paced", workers=1)
    with campaign("descriptors", tmp_path, environment=IMPATIENT) as chaos:
        chaos.warm(right("paced"))
        with chaos.load(right("paced"), rate=100) as load:
            load.reached(100)
            limits = resource.prlimit(chaos.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(chaos.pid, resource.RLIMIT_NOFILE, (descriptors(chaos.pid) + 8, limits[1]))
            with ExitStack() as crowd:
                for _ in range(size(300, 1_000)):
                    crowd.enter_context(socket.create_connection(("127.0.0.1", chaos.node.port)))
                load.reached(load.ledger.ended + 100)
            until(lambda: newcomer_served(chaos.node.port))
            resource.prlimit(chaos.pid, resource.RLIMIT_NOFILE, limits)


def newcomer_served(port: int) -> bool:
    """Whether a new connection gets an answer to a request for health."""
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), timeout=2)) as link:
        link.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return answer(link).startswith(b"HTTP/1.1 200")
    return False
