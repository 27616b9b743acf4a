"""The gateway's part of figure 8: its memory with many models registered, and with many of them called."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks import shelf
from benchmarks.calls import Plan, call
from benchmarks.lab import Lab
from benchmarks.peers import Setup
from benchmarks.peers.registered import RegisteredModels
from benchmarks.running import Server, running
from benchmarks.shelf import name_of
from benchmarks.summary import Row, Target
from benchmarks.timing import p99

FIGURE = 8
POOL = {"shared": {"workers": 1, "max_models": 50, "preload": ["sklearn"]}}
SMALL = Target(4.0, at_least=False)


def rows(lab: Lab, folder: Path, count: int, trained: bytes) -> Iterator[Row]:
    """With one model registered and with all of them; then one of these is asked for much."""
    with shelf.home("few") as few:
        with shelf.opened(few) as open_shelf:
            open_shelf.fill(range(1), shelf.numbered(trained))
        pairs = [(resident(few), resident(folder)) for _ in range(lab.repeats)]
    what = f"gateway's RSS with {count:,} models registered, above that with one"
    yield lab.alone(FIGURE, what, "MiB", [many - one for one, many in pairs], Target(1.0, at_least=False))
    yield lab.alone(FIGURE, f"gateway's RSS with {count:,} models registered", "MiB", [many for _, many in pairs])
    with node(folder) as server:
        yield over_the_api(lab, server, count)
        called = 5000 if lab.thorough else 200
        what = f"gateway's memory for each of {called:,} models called"
        yield lab.alone(FIGURE, what, "KiB", [per_called(server, called)], SMALL)


@contextmanager
def node(folder: Path) -> Iterator[Server]:
    """A running node on a home, once a first model has answered."""
    with running(RegisteredModels(folder, POOL), Setup(name_of(0))) as server:
        yield server


def resident(folder: Path) -> float:
    """The gateway's RSS once a first model has answered, in MiB."""
    with node(folder) as server:
        return server.gateway_memory().rss


def over_the_api(lab: Lab, server: Server, count: int) -> Row:
    """The route of an address, asked for over the control API on one connection."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.site.metrics, timeout=20.0)) as connection:

        def ask(name: str) -> None:
            connection.request("GET", f"/v1/routes/{name}")
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise OSError(f"control answers {response.status}: {body[:200]!r}")

        times = 2000 if lab.thorough else 200
        found = [p99(ask, count, times, seed) for seed in range(lab.repeats)]
    return lab.alone(FIGURE, f"look-up of a route among {count:,} over the control API: P99", "ms", found)


def per_called(server: Server, called: int) -> float:
    """KiB of heaps and stacks that each model costs that is called for the first time.

    Half as many are called before: what the gateway needs once is not counted to the models. Nearly all are evicted
    from the workers meanwhile, as the pool is small.
    """
    warm = called // 2
    call(once(server, range(1, 1 + warm)))
    before = server.gateway_memory().anonymous
    call(once(server, range(1 + warm, 1 + warm + called)))
    return 1024 * (server.gateway_memory().anonymous - before) / called


def once(server: Server, numbers: range) -> Plan:
    """Each of these models once."""
    return Plan(port=server.site.http, connections=4, models=list(numbers))
