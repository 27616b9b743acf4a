"""Metrics of a whole tree: whoever is asked tells those of all, and of who does not answer."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from shoal.core.metrics import Metrics
from shoal.monitor.exposition import CONTENT_TYPE, render
from shoal.node.roles.telling import Own, Teller, TreeMetrics
from shoal.node.tree.plan import METRICS, Membership


def own(value: float) -> Own:
    metrics = Metrics()
    metrics.gauge("shoal_x", "X.").labels().set(value)
    return lambda: (render(metrics), CONTENT_TYPE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / METRICS).mkdir()
    return tmp_path


async def told(metrics: TreeMetrics) -> list[str]:
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    metrics.expose(lambda text, content_type: answer.set_result(text))
    async with asyncio.timeout(20):
        return (await answer).decode().splitlines()


def test_all_that_tell_are_told_once_and_the_one_that_is_gone_is_named(folder: Path) -> None:
    async def main() -> list[str]:
        members = {name: Membership(folder, name) for name in ("gateway-1", "proxy-1", "proxy-2")}
        tellers = [Teller(member, own(number)) for number, member in enumerate(members.values())]
        for each in tellers:
            await each.start()
        assert stat.S_IMODE(members["proxy-1"].metrics.stat().st_mode) == 0o600
        leftover = members["proxy-2"].metrics
        await tellers.pop().stop()
        assert not leftover.exists()
        leftover.touch()  # as one that was killed leaves it behind
        metrics = TreeMetrics(members["gateway-1"], own(0))
        try:
            return await told(metrics)
        finally:
            await metrics.close()
            for each in tellers:
                await each.stop()

    lines = asyncio.run(main())
    assert [line for line in lines if line.startswith("shoal_x{")] == [
        'shoal_x{process="gateway-1"} 0.0',
        'shoal_x{process="proxy-1"} 1.0',
    ]
    assert [line for line in lines if line.startswith("shoal_process_up{")] == [
        'shoal_process_up{process="gateway-1"} 1.0',
        'shoal_process_up{process="proxy-1"} 1.0',
        'shoal_process_up{process="proxy-2"} 0.0',
    ]


def test_one_that_comes_back_takes_the_place_of_its_killed_predecessor(folder: Path) -> None:
    async def main() -> None:
        member = Membership(folder, "proxy-1")
        member.metrics.touch()
        teller = Teller(member, own(1))
        await teller.start()
        reader, writer = await asyncio.open_unix_connection(member.metrics)
        assert b"shoal_x 1.0" in await reader.read()
        writer.close()
        await writer.wait_closed()
        await teller.stop()

    asyncio.run(main())
