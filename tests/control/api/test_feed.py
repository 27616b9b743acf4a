"""Who waits for the feed is told at once of a change through this process, and within a second of any other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shoal.control.api import feed
from shoal.control.api.feed import FeedWatch
from shoal.core.errors import Overloaded
from support.control_world import World
from support.registered import push


class Counter:
    """A feed's position, and how often it was read."""

    def __init__(self) -> None:
        self.value = 0
        self.reads = 0

    def __call__(self) -> int:
        self.reads += 1
        return self.value


def test_a_ring_lets_those_go_who_have_not_seen_it() -> None:
    async def main() -> None:
        position = Counter()
        watch = FeedWatch(position, waiters=10)
        waiting = [asyncio.ensure_future(watch.wait(0, 30)) for _ in range(3)]
        later = asyncio.ensure_future(watch.wait(1, 30))
        await asyncio.sleep(0)
        position.value = 1
        watch.ring()
        await asyncio.gather(*waiting)
        assert not later.done()
        watch.close()
        await later

    asyncio.run(main())


def test_other_writers_are_seen_without_a_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "EVERY_SECONDS", 0.01)

    async def main() -> None:
        position = Counter()
        watch = FeedWatch(position, waiters=10)
        waiting = asyncio.ensure_future(watch.wait(0, 30))
        while position.reads < 3:
            await asyncio.sleep(0)
        position.value = 5
        await waiting
        watch.close()

    asyncio.run(main())


def test_one_look_serves_all() -> None:
    async def main() -> None:
        position = Counter()
        watch = FeedWatch(position, waiters=500)
        waiting = [asyncio.ensure_future(watch.wait(0, 30)) for _ in range(400)]
        await asyncio.sleep(0)
        position.value = 1
        watch.ring()
        await asyncio.gather(*waiting)
        assert position.reads <= 3

    asyncio.run(main())


def test_the_number_of_those_who_wait_is_bounded() -> None:
    async def main() -> None:
        watch = FeedWatch(Counter(), waiters=1)
        first = asyncio.ensure_future(watch.wait(0, 30))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await watch.wait(0, 30)
        watch.close()
        await first
        await watch.wait(0, 30)

    asyncio.run(main())


def test_time_runs_out_and_leaves_nothing() -> None:
    async def main() -> None:
        watch = FeedWatch(Counter(), waiters=1)
        for _ in range(3):
            await watch.wait(0, 0.01)
        assert watch._waiting == {}
        watch.close()

    asyncio.run(main())


def test_a_registry_that_fails_sends_all_away_to_be_told() -> None:
    def broken() -> int:
        raise RuntimeError

    async def main() -> None:
        watch = FeedWatch(broken, waiters=1)
        await watch.wait(0, 30)
        watch.close()

    asyncio.run(main())


def long_poll(world: World, after: int, act: Any) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        asking = asyncio.ensure_future(world.http.get("/v1/feed", params={"after": after, "wait": 30}))
        while not world.app._app._app._app._app.state.watch._waiting:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        await act()
        answer = await asking
        told: dict[str, Any] = answer.json()
        return told

    return world.run(main())


def test_a_long_poll_ends_with_the_change(control: World) -> None:
    control.push()

    async def act() -> None:
        await control.http.put("/v1/models/default/iris/stages/production", json={"ref": "1"})

    told = long_poll(control, 1, act)
    assert [(change["number"], change["kind"], change["name"]) for change in told["changes"]] == [(2, "model", "iris")]
    assert (told["position"], told["reset"]) == (2, False)


def test_a_change_that_did_not_come_through_the_api_ends_it_too(
    control: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "EVERY_SECONDS", 0.01)

    async def act() -> None:
        await asyncio.to_thread(push, control.control.registry, "rose")

    assert [change["name"] for change in long_poll(control, 0, act)["changes"]] == ["rose"]


def test_a_position_that_nobody_gave_out_starts_again_at_once(control: World) -> None:
    for after in (7, -1):
        assert control.get("/v1/feed", after=after, wait=30) == {"changes": [], "position": 0, "reset": True}


def test_waits_are_bounded(control: World) -> None:
    assert control.problem("GET", "/v1/feed?after=0&wait=3600") == (400, "invalid_input")
    assert control.problem("GET", "/v1/feed?after=-2") == (400, "invalid_input")
