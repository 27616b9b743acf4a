"""Callers and models that misuse a running node: it stays up, bounded, and its accounts stay exact."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import requests

from shoal.client import AsyncClient
from shoal.core.errors import NotReady, ShoalError
from shoal.testing.node import RunningNode, serve
from support.faulty_models import faulty_model
from support.meter import may_write, meter, started
from support.processes import children, descriptors, resident_bytes, workers

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

MEBI = 1024 * 1024


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    folder = tmp_path_factory.mktemp("abused")
    faulty_model(folder, "faults", timeout=30.0)
    faulty_model(folder, "worn", workers=2, more=", max_requests: 20")
    faulty_model(folder, "leaky", more=", memory_bytes: 200Mi")
    meter(folder, "slow", base_ms=100, batching={"policy": "fixed", "max_size": 1, "queue_rows": 100})
    with serve(folder, environment=may_write(folder)) as running:
        yield running


def run(node: RunningNode, scenario: Callable[[AsyncClient], Awaitable[None]]) -> None:
    async def main() -> None:
        async with AsyncClient(node.url, timeout=60, retries=0) as client:
            await scenario(client)

    asyncio.run(main())
    assert node.process.poll() is None
    assert requests.get(f"{node.url}/v2/health/live", timeout=5).status_code == 200


async def outcome(client: AsyncClient, model: str, text: str, timeout: float | None = None) -> str:
    """``ok``, or the code of the error."""
    try:
        await client.predict_all(model, [text], timeout=timeout)
    except ShoalError as error:
        return error.code
    return "ok"


def request(model: str, text: str) -> bytes:
    """A `predict_all` over HTTP/1.1."""
    body = json.dumps({"inputs": [text]}).encode()
    head = f"POST /v2/models/{model}/predict_all HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def outcomes(node: RunningNode, model: str) -> Counter[str]:
    """How the requests of a model have ended, by its metrics."""
    found: Counter[str] = Counter()
    for line in requests.get(f"{node.url}/metrics", timeout=5).text.splitlines():
        if line.startswith("shoal_requests_total{") and f'model="{model}"' in line:
            found[line.partition('outcome="')[2].partition('"')[0]] = int(float(line.rpartition(" ")[2]))
    return found


def test_every_accepted_request_is_accounted_for_by_its_outcome(node: RunningNode) -> None:
    async def scenario(client: AsyncClient) -> None:
        before = await asyncio.to_thread(outcomes, node, "faults")
        texts = ["a", "b", "item:no", "c", "raise:no", "d", "exit:3", "print:x"] * 12
        told = Counter(await asyncio.gather(*(outcome(client, "faults", text) for text in texts)))
        leaving = [asyncio.ensure_future(client.predict_all("faults", ["sleep:0.3"])) for _ in range(8)]
        await asyncio.sleep(0.1)
        for call in leaving:
            call.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        told["cancelled"] += len(leaving)
        while sum(((await asyncio.to_thread(outcomes, node, "faults")) - before).values()) < sum(told.values()):
            await asyncio.sleep(0.05)
        assert await asyncio.to_thread(outcomes, node, "faults") - before == told
        assert told == {"ok": 60, "invalid_input": 12, "model_error": 12, "poison_input": 12, "cancelled": 8}

    run(node, scenario)


def test_clients_that_vanish_free_their_places_and_are_not_computed(tmp_path: Path) -> None:
    journal = meter(tmp_path / "models", "quick", base_ms=50, batching={"policy": "fixed", "max_size": 1})

    async def scenario(client: AsyncClient) -> None:
        await client.predict_all("quick", ["warm"])
        with ExitStack() as leaving:
            for number in range(1000):
                connection = leaving.enter_context(socket.create_connection(("127.0.0.1", own.port)))
                connection.sendall(request("quick", f"gone {number}"))
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leave by RST
        asked = time.monotonic()
        # for a moment not all are known to have left, and a minute's work seems to wait
        await client.predict_all("quick", ["mine"], timeout=60)
        assert time.monotonic() - asked < 1.0, "what nobody waits for any more is not in the way"
        assert len([text for text in started(journal) if text.startswith("gone")]) < 40
        while (left := await asyncio.to_thread(outcomes, own, "quick"))["cancelled"] + left["ok"] < 1002:
            assert time.monotonic() - asked < 5.0
            await asyncio.sleep(0.05)

    with serve(tmp_path / "models", environment=may_write(tmp_path / "models")) as own:
        run(own, scenario)


def held_by_the_kernel() -> int:
    """Bytes that one connection's buffers may grow to, at both ends."""
    limits = (Path("/proc/sys/net/ipv4", name).read_text().split()[2] for name in ("tcp_rmem", "tcp_wmem"))
    return sum(map(int, limits))


def test_readers_that_do_not_read_cost_bounded_memory(tmp_path: Path) -> None:
    faulty_model(tmp_path, "faults")
    bounds = {"SHOAL_LIMITS__PIPELINE": "4", "SHOAL_LIMITS__WRITE_BUFFER_BYTES": str(MEBI)}

    async def scenario(client: AsyncClient) -> None:
        await client.predict_all("faults", ["x" * MEBI])
        before = resident_bytes(node.process.pid)
        with ExitStack() as stalled:
            taken = [0] * 12
            ten = request("faults", "x" * MEBI) * 10
            crowd = [stalled.enter_context(socket.create_connection(("127.0.0.1", node.port))) for _ in taken]
            end = time.monotonic() + 2.0
            while time.monotonic() < end:  # as far as the node takes it, and no answer is ever read
                for number, connection in enumerate(crowd):
                    connection.setblocking(False)
                    with suppress(BlockingIOError):
                        at = taken[number] % len(ten)
                        taken[number] += connection.send(memoryview(ten)[at : at + MEBI])
                await asyncio.sleep(0.001)
            assert max(taken) < 12 * MEBI + held_by_the_kernel(), "the node stops reading"
            grown = resident_bytes(node.process.pid) - before
            assert grown < len(crowd) * 14 * MEBI, f"{grown / MEBI:.0f} MiB"
            assert await outcome(client, "faults", "beside", timeout=2) == "ok"

    with serve(tmp_path, environment=bounds) as node:
        run(node, scenario)


def test_a_queue_that_is_full_sheds_at_once_and_says_when_to_come_again(node: RunningNode) -> None:
    async def scenario(client: AsyncClient) -> None:
        await client.predict_all("slow", ["warm"])
        calls = [asyncio.ensure_future(client.predict_all("slow", [f"t{number}"], timeout=3)) for number in range(300)]
        await asyncio.sleep(0.3)
        shed = [call.exception() for call in calls if call.done() and call.exception()]
        assert len(shed) >= 150
        assert all(isinstance(error, ShoalError) and error.retry_after for error in shed)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert await outcome(client, "slow", "after", timeout=2) == "ok"

    run(node, scenario)


def test_models_that_leak_threads_and_files_are_renewed_without_a_failed_request(node: RunningNode) -> None:
    async def scenario(client: AsyncClient) -> None:
        before = set(workers(node.process.pid))

        async def caller() -> list[str]:
            told = []
            for text in ["thread", "descriptor"] * 15:
                told.append(await outcome(client, "worn", text))
                await asyncio.sleep(0.04)
            return told

        told = await asyncio.gather(*(caller() for _ in range(6)))
        assert {each for those in told for each in those} == {"ok"}
        assert len(set(workers(node.process.pid)) - before) >= 2, "both were renewed"
        for pid in workers(node.process.pid):
            assert descriptors(pid) < 100
            assert len(os.listdir(f"/proc/{pid}/task")) < 100

    run(node, scenario)


def test_a_model_that_leaks_memory_is_renewed_without_a_failed_request(node: RunningNode) -> None:
    async def scenario(client: AsyncClient) -> None:
        seen: set[int] = set()
        for _ in range(90):
            assert await outcome(client, "leaky", "leak:4") == "ok"
            seen.update(workers(node.process.pid))
            assert max(map(_memory, workers(node.process.pid))) < 230 * MEBI, (
                "its limit, and what it shares with others"
            )
            await asyncio.sleep(0.03)
        assert len(seen) > len(workers(node.process.pid)), "no worker was ever renewed"

    run(node, scenario)


def _memory(pid: int) -> int:
    try:
        return resident_bytes(pid)
    except OSError:
        return 0


def test_a_node_without_file_descriptors_serves_who_is_there_and_recovers(tmp_path: Path) -> None:
    faulty_model(tmp_path, "faults")
    faulty_model(tmp_path, "oracle", kind="OracleModel")

    async def scenario(client: AsyncClient) -> None:
        await client.predict_all("faults", ["warm"])
        pid = node.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid) + 8, limits[1]))
        with ExitStack() as crowd:
            for _ in range(300):
                crowd.enter_context(socket.create_connection(("127.0.0.1", node.port)))
            assert await outcome(client, "faults", "kept", timeout=5) == "ok"
            await outcome(client, "faults", "exit:1", timeout=5)  # and now its worker is to be started again
            assert await outcome(client, "oracle", "kept", timeout=5) == "ok"
            await asyncio.sleep(0.5)
        asked = time.monotonic()
        while await outcome(client, "faults", "back", timeout=5) != "ok":
            assert time.monotonic() - asked < 15.0
            await asyncio.sleep(0.1)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)

    with serve(tmp_path) as node:
        run(node, scenario)


def test_models_that_cannot_be_loaded_say_why_and_hold_nobody_up(tmp_path: Path) -> None:
    faulty_model(tmp_path, "crashes", load="segv")
    faulty_model(tmp_path, "raises", load="raise:the weights are damaged")
    faulty_model(tmp_path, "leaves", load="exit:0")
    faulty_model(tmp_path, "fine")
    with serve(tmp_path) as node:

        async def scenario(client: AsyncClient) -> None:
            assert await client.predict_all("fine", ["a"]) == ["ok:a"]
            assert await client.ready("fine")
            reasons = {"crashes": "SIGSEGV", "raises": "the weights are damaged", "leaves": "exit_0"}
            told = {entry.name: entry for entry in await client.models()}
            for name, reason in reasons.items():
                assert told[name].state == "UNAVAILABLE"
                assert reason in told[name].reason
                assert not await client.ready(name)
                with pytest.raises(NotReady, match=reason):
                    await client.predict_all(name, ["a"])
            before = len(children(node.process.pid))
            await asyncio.sleep(0.5)
            assert len(children(node.process.pid)) == before == 1, "no restart storm"

        run(node, scenario)


FETCHES = """\
import json
import urllib.request

from shoal import ItemError, Model


class Fetches(Model):
    def predict_all(self, inputs):
        return [self.one(text) for text in inputs]

    def one(self, url):
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                pixels = answer.read()
        except (OSError, ValueError) as error:
            return ItemError(f"{url} cannot be fetched: {error}")
        return json.dumps({"mean": round(sum(pixels) / len(pixels) / 255, 3)})
"""


class _Images(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"\x00\xff\x00\xff")

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


def test_a_model_that_fetches_its_input_fails_for_the_dead_address_only(tmp_path: Path) -> None:
    (tmp_path / "fetches").mkdir()
    (tmp_path / "fetches" / "model.py").write_text(FETCHES)
    (tmp_path / "fetches" / "model.yaml").write_text("trust: code\nnetwork: true\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Images) as images, serve(tmp_path) as node:
        Thread(target=images.serve_forever, daemon=True).start()
        good, dead = f"http://127.0.0.1:{images.server_port}/cat", "http://127.0.0.1:1/dead"

        async def scenario(client: AsyncClient) -> None:
            urls = [good, dead, good]
            answers = await asyncio.gather(
                *(client.predict_all("fetches", [url]) for url in urls), return_exceptions=True
            )
            assert answers[0] == answers[2] == ['{"mean": 0.5}']
            assert isinstance(answers[1], ShoalError)
            assert dead in str(answers[1])

        run(node, scenario)
        images.shutdown()


APP = """\
import os

from fastapi import FastAPI

app = FastAPI()


@app.get("/about")
def about() -> dict[str, int]:
    return {"pid": os.getpid()}
"""


def test_an_app_beside_the_model_is_started_again_when_it_dies_and_ends_with_its_node(tmp_path: Path) -> None:
    faulty_model(tmp_path, "faults")
    home = tmp_path / "faults"
    (home / "app.py").write_text(APP)
    (home / "model.yaml").write_text((home / "model.yaml").read_text() + "app: app:app\n")
    with serve(tmp_path) as node:
        url = f"{node.url}/models/faults/app/about"
        first = _app_pid(url)
        os.kill(first, signal.SIGKILL)
        second = _app_pid(url, other_than=first)
        assert requests.get(f"{node.url}/v2/models/faults/ready", timeout=5).status_code == 200
        assert "shoal_requests_total" in requests.get(f"{node.url}/metrics", timeout=5).text
        node.process.kill()
        node.process.wait()
        deadline = time.monotonic() + 5
        while Path(f"/proc/{second}").exists() and " Z " not in Path(f"/proc/{second}/stat").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def _app_pid(url: str, other_than: int = 0) -> int:
    """The process that answers there, once one does."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = requests.get(url, timeout=5)
        if answer.status_code == 200 and answer.json()["pid"] != other_than:
            return int(answer.json()["pid"])
        assert answer.status_code in {200, 502, 503}
        time.sleep(0.05)
    raise AssertionError("the app never answered")
