"""Our own client against a node with real workers: one connection, ten models, one of them slow."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from shoal.client import AsyncClient, Client, Retries
from shoal.core.errors import DeadlineExceeded, InvalidInput, NotFound, NotReady
from shoal.testing.node import RunningNode, serve

pytestmark = pytest.mark.process

MODEL = """
import time


class Shout:
    def predict_all(self, inputs: list[str]) -> list[str]:
        if "wait" in inputs:
            time.sleep(1.5)
        return [text.upper() for text in inputs]
"""
ROWS = datasets.load_iris().data[::30].astype(np.float64)


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    folder = tmp_path_factory.mktemp("ten")
    for number in range(10):
        (folder / f"m{number}").mkdir()
        (folder / f"m{number}" / "model.py").write_text(MODEL)
    with serve(folder) as running:
        yield running


def connections_to(port: int) -> int:
    """Established TCP connections of this process to a port of this machine, as the kernel sees them."""
    inodes = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            inodes.add(os.readlink(entry))
        except OSError:
            continue  # the directory's own descriptor is gone by now
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    remote = f":{port:04X}"
    return sum(line[2].endswith(remote) and line[3] == "01" and f"socket:[{line[9]}]" in inodes for line in lines)


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_200_calls_to_ten_models_use_one_connection(ten: RunningNode, protocol: str) -> None:
    async def scenario() -> None:
        async with AsyncClient(ten.url, protocol=protocol) as client:
            calls = [
                asyncio.create_task(client.predict_all(f"m{number % 10}", [f"text {number}"])) for number in range(200)
            ]
            most = 0
            while not all(call.done() for call in calls):
                most = max(most, connections_to(ten.port))
                await asyncio.sleep(0.001)
            assert [call.result() for call in calls] == [[f"TEXT {number}"] for number in range(200)]
            assert most == connections_to(ten.port) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_a_slow_model_holds_no_fast_one_up(ten: RunningNode, protocol: str) -> None:
    async def scenario() -> None:
        async with AsyncClient(ten.url, protocol=protocol) as client:
            await client.predict_all("m1", ["warm"])
            slow = [asyncio.create_task(client.predict_all("m0", ["wait"])) for _ in range(8)]
            await asyncio.sleep(0.05)
            for _ in range(20):
                await client.predict_all("m1", ["fast"])
            assert not any(call.done() for call in slow)
            for call in slow:
                call.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
            assert await client.predict_all("m0", ["still there"], timeout=10) == ["STILL THERE"]

    asyncio.run(scenario())


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_the_deadline_is_kept(ten: RunningNode, protocol: str) -> None:
    with ten.client(protocol) as client:
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            client.infer("m2", ["wait"], timeout=0.2)
        assert time.monotonic() - started < 1.0


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_arrays_frames_and_lists_get_the_same_answers(node: RunningNode, protocol: str) -> None:
    import pandas as pd

    with node.client(protocol) as client:
        expected = client.predict("iris", ROWS)
        assert isinstance(expected, np.ndarray)
        assert len(expected) == len(ROWS)
        for same in (ROWS.tolist(), pd.DataFrame(ROWS, columns=["a", "b", "c", "d"]), {"inputs": ROWS}):
            assert np.array_equal(client.predict("iris", same), expected)
        for row, label in zip(ROWS, expected, strict=True):
            assert client.predict("iris", row).tolist() == [label]


def test_what_a_node_tells_is_the_same_in_both_protocols(node: RunningNode) -> None:
    with node.client("rest") as rest, node.client("grpc") as grpc:
        assert rest.live()
        assert grpc.live()
        assert rest.ready("iris")
        assert grpc.ready("iris")
        assert rest.metadata() == grpc.metadata()
        assert rest.metadata("iris") == grpc.metadata("iris")
        assert rest.models() == grpc.models()
        assert rest.statistics("iris")[0].keys() == grpc.statistics("iris")[0].keys()


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_errors_of_a_node_are_errors_here(node: RunningNode, protocol: str) -> None:
    with node.client(protocol) as client:
        with pytest.raises(NotFound) as missing:
            client.predict("nosuch", [[1]])
        assert missing.value.request_id
        with pytest.raises(InvalidInput) as wrong:
            client.predict("iris", [[1.0, 2.0]])
        assert wrong.value.field == "inputs[0].shape"


def test_unloading_and_loading(ten: RunningNode) -> None:
    with Client(ten.url, retries=0) as client:
        client.unload("m9")
        assert not client.ready("m9")
        with pytest.raises(NotReady):
            client.predict_all("m9", ["a"])
        client.load("m9")
        assert client.predict_all("m9", ["a"]) == ["A"]


def test_a_client_survives_the_restart_of_its_node(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.py").write_text(MODEL)
    with serve(tmp_path) as first:
        client = Client(first.url, retries=Retries(attempts=5))
        assert client.predict_all("m", ["a"]) == ["A"]
    with serve(tmp_path, arguments=["--port", str(first.port)]), client:
        assert client.predict_all("m", ["b"]) == ["B"]
