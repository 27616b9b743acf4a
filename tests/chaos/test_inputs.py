"""Mutated requests and mutated streams of bytes beside good traffic: clear answers, no bug, no hang, no neighbour hurt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import grpc
import pytest

from chaos.harness.campaign import Campaign, campaign
from chaos.harness.models import right
from chaos.harness.sizes import PATIENCE, size
from fuzz import node_inputs
from support.faulty_models import faulty_model

pytestmark = [pytest.mark.process, pytest.mark.timeout(max(PATIENCE, 600))]

BESIDE = 20
"""Good requests per second."""


def test_typed_inputs(tmp_path: Path) -> None:
    """REST bodies and RPC messages whose form is kept and whose content is not; two in three are REST."""
    count = size(100_000, 1_000_000)
    seen: Counter[object] = Counter()
    with fuzzed(tmp_path, "typed_inputs", count) as chaos, chaos.load(right("oracle"), rate=BESIDE):
        with closing(HTTPConnection("127.0.0.1", chaos.node.port, timeout=20)) as link:
            seen.update(node_inputs.try_request(link, chaos.random) for _ in range(count * 2 // 3))
        with grpc.insecure_channel(f"127.0.0.1:{chaos.node.port}") as channel:
            methods = node_inputs.methods(channel)
            seen.update(node_inputs.try_rpc(methods, chaos.random) for _ in range(count // 3))
    assert {200, 400, grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT} <= seen.keys(), seen


def test_raw_inputs(tmp_path: Path) -> None:
    """Streams of HTTP/1.1 and of HTTP/2, on a connection each."""
    count = size(10_000, 100_000)
    seen: Counter[bytes] = Counter()
    with fuzzed(tmp_path, "raw_inputs", count, hidden=4) as chaos, chaos.load(right("oracle"), rate=BESIDE):
        for number in range(count):
            send = node_inputs.try_http2 if number % 2 else node_inputs.try_http1
            seen.update(send(chaos.node.port, chaos.random))
    assert {b"200", b"400"} <= seen.keys(), seen


@contextmanager
def fuzzed(folder: Path, name: str, inputs: int, hidden: int = 1) -> Iterator[Campaign]:
    """A warm server of an oracle and of arrays; so many inputs are sent past the accounts, of so many requests each."""
    faulty_model(folder, "oracle", kind="OracleModel")
    faulty_model(folder, "arrays", kind="FaultArrays")
    with campaign(name, folder) as chaos:
        chaos.warm(right("oracle"))
        chaos.untold = inputs * hidden
        yield chaos
        chaos.figures["inputs"] = inputs
