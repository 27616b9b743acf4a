"""A long mixed load leaves nothing behind: `SHOAL_SOAK_SECONDS=600` for the long form."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from shoal.client import AsyncClient
from shoal.core.errors import ShoalError
from shoal.testing.faults import oracle
from shoal.testing.node import serve
from support.faulty_models import faulty_model
from support.processes import descriptors, resident_bytes, workers

SECONDS = float(os.environ.get("SHOAL_SOAK_SECONDS", "8"))
MEBI = 1024 * 1024
SLOPE = 1 * MEBI / 100_000
"""Bytes that the node may grow by for each request."""
NOISE = 8 * MEBI
"""What its memos and the allocator take until they have their size, which is after some 100,000 requests."""

pytestmark = [pytest.mark.process, pytest.mark.timeout(SECONDS * 2 + 60)]


class Load:
    """Callers of both protocols: most ask what is right, some what is wrong, some leave."""

    def __init__(self, clients: list[AsyncClient]) -> None:
        self.clients = clients
        self.requests = 0
        self.wrong: list[str] = []

    async def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        await asyncio.gather(*(self._caller(number, end) for number in range(16)))

    async def _caller(self, number: int, end: float) -> None:
        client = self.clients[number % len(self.clients)]
        turn = 0
        while time.monotonic() < end:
            turn += 1
            self.requests += 1
            await self._ask(client, f"{number}-{turn}", turn % 50)

    async def _ask(self, client: AsyncClient, text: str, turn: int) -> None:
        if turn == 10:
            await self._fail(client.predict_all("nosuch", [text]))
        elif turn == 20:
            await self._fail(client.predict_all("faults", ["item:no"]))
        elif turn == 30:
            await self._fail(client.predict_all("faults", ["raise:no"]))
        elif turn == 40:
            task = asyncio.ensure_future(client.predict_all("faults", ["sleep:0.01"]))
            await asyncio.sleep(0.002)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        elif await client.predict_all("oracle", [text]) != [oracle(text, "")]:
            self.wrong.append(text)

    async def _fail(self, call: object) -> None:
        with pytest.raises(ShoalError):
            await call  # type: ignore[misc]


def test_a_long_mixed_load_leaves_nothing_behind(tmp_path: Path) -> None:
    faulty_model(tmp_path, "oracle", kind="OracleModel")
    faulty_model(tmp_path, "faults")
    with serve(tmp_path) as node:

        async def main() -> tuple[int, int, int]:
            async with (
                AsyncClient(node.url, timeout=20) as rest,
                AsyncClient(node.url, protocol="grpc", timeout=20) as grpc,
            ):
                load = Load([rest, grpc])
                await load.run(SECONDS / 3)  # until everything has its size
                first, files, before = load.requests, descriptors(node.process.pid), resident_bytes(node.process.pid)
                await load.run(SECONDS * 2 / 3)
                assert load.wrong == []
                return (
                    load.requests - first,
                    resident_bytes(node.process.pid) - before,
                    descriptors(node.process.pid) - files,
                )

        processes = workers(node.process.pid)
        requests, grown, opened = asyncio.run(main())
        assert workers(node.process.pid) == processes, "nothing had to be replaced"
        assert opened <= 0
        assert requests > 100 * SECONDS
        assert grown < NOISE + SLOPE * requests, f"{grown / MEBI:.1f} MiB over {requests} requests"
