"""The feed, applied; and what happens when control is silent."""

from __future__ import annotations

import asyncio
from pathlib import Path

from shoal.core.errors import Unavailable
from shoal.core.routes import Change, Feed, NodeStatus
from shoal.serving.hosting.following import Follower, Reporter
from shoal.serving.hosting.state import RouteState
from support.routed_world import World, settle


class Naps:
    """A sleep that ends when told to."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.wake = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        self.wake.clear()
        await self.wake.wait()


def follower(world: World, naps: Naps | None = None) -> Follower:
    return Follower(world.control, world.source, world.state, world.models, sleep=naps or Naps())


def test_services_that_run_without_being_called_are_up_before_the_node_is_ready() -> None:
    async def main() -> None:
        world = World()
        world.control.put("fraud")
        world.control.put("lazy", placement="shared")
        world.control.put("pinned", placement="shared", pinned=True)
        assert not world.models.ready()
        await follower(world).start()
        assert world.models.ready()
        assert sorted(runner.spec.name for runner in world.runners) == ["fraud", "pinned"]

    asyncio.run(main())


def test_a_service_that_does_not_start_leaves_the_node_ready() -> None:
    async def main() -> None:
        world = World()
        world.broken = {"1"}
        world.control.put("fraud")
        await follower(world).start()
        assert world.models.ready()
        assert world.models.status()[0].state == "UNAVAILABLE"

    asyncio.run(main())


def test_a_change_of_what_is_in_memory_is_applied_and_of_what_is_not_only_marked() -> None:
    async def main() -> None:
        world = World()
        world.control.put("awake", "1", implicit=True)
        world.control.put("asleep", "1", implicit=True)
        await world.call("awake")
        await world.call("asleep")
        next(each for each in world.runners if each.spec.name == "asleep").evicted("idle")
        await settle()
        changes = (
            world.control.put("awake", "2", implicit=True),
            world.control.put("asleep", "2", implicit=True),
            world.control.put("never-called", "1", implicit=True),
        )
        following = follower(world)
        asked = len(world.control.asked)
        following.take(Feed(changes=changes, position=9))
        await settle()
        assert world.control.asked[asked:] == [("awake", "")]
        assert (await world.call("awake")).outcome == b"2"
        assert (await world.call("asleep")).outcome == b"2", "asked for anew when it is called"
        assert world.state.position == 9

    asyncio.run(main())


def test_a_new_service_is_started_and_a_deleted_one_ended() -> None:
    async def main() -> None:
        world = World()
        following = follower(world)
        put = world.control.put("fraud")
        following.take(Feed(changes=(put,), position=1))
        await settle()
        assert [runner.spec.name for runner in world.runners] == ["fraud"]
        world.control.routes.clear()
        following.take(Feed(changes=(put,), position=2))
        await settle()
        assert world.runners[0].log == ["start", "drain"]

    asyncio.run(main())


def test_a_service_that_could_not_start_is_started_when_its_model_comes() -> None:
    async def main() -> None:
        world = World()
        world.control.put("fraud", target=False, reason="stage production points at nothing")
        following = follower(world)
        await following.start()
        assert world.models.status()[0].state == "UNAVAILABLE"
        world.control.put("fraud", "1")
        change = Change(number=9, kind="model", namespace="default", name="fraud")
        following.take(Feed(changes=(change,), position=9))
        await settle()
        assert world.models.status()[0].state == "READY"

    asyncio.run(main())


def test_a_feed_that_begins_anew_makes_everything_be_looked_at() -> None:
    async def main() -> None:
        world = World()
        world.control.put("awake", "1", implicit=True)
        await world.call("awake")
        world.control.put("awake", "2", implicit=True)
        world.control.put("fraud")
        follower(world).take(Feed(changes=(), position=50, reset=True))
        await settle()
        assert (await world.call("awake")).outcome == b"2"
        assert "fraud" in [runner.spec.name for runner in world.runners]

    asyncio.run(main())


def test_a_change_that_cannot_be_asked_for_is_tried_again_until_it_is_applied() -> None:
    async def main() -> None:
        world, naps = World(), Naps()
        world.control.put("fraud", "1")
        await world.call("fraud")
        following = follower(world, naps)
        change = world.control.put("fraud", "2")
        world.control.silent = True
        following.take(Feed(changes=(change,), position=2))
        await settle()
        assert (await world.call("fraud")).outcome == b"1"
        world.control.silent = False
        naps.wake.set()
        await settle()
        assert (await world.call("fraud")).outcome == b"2"

    asyncio.run(main())


def test_a_version_whose_store_is_down_is_rolled_to_when_it_is_back() -> None:
    async def main() -> None:
        world, naps = World(), Naps()
        following = follower(world, naps)
        world.control.put("iris", "1")
        await following.start()
        world.refused = {"2": Unavailable("the store is down")}
        following.take(Feed(changes=(world.control.put("iris", "2"),), position=2))
        await settle()
        assert (await world.call("iris")).outcome == b"1"
        assert "version 1 goes on: the store is down" in world.models.status()[0].reason
        naps.wake.set()
        await settle()
        assert len(naps.asked) == 2
        told = [event.what for event in world.journal.of("iris")]
        assert told.count("roll_stopped") == 1, "told once, however often it is tried"
        world.refused = {}
        naps.wake.set()
        await settle()
        assert (await world.call("iris")).outcome == b"2"
        assert world.models.status()[0].reason == ""

    asyncio.run(main())


def test_a_service_that_changes_while_it_is_being_changed_ends_as_it_was_said_last() -> None:
    async def main() -> None:
        world = World()
        world.control.put("fraud", "1")
        await world.call("fraud")
        world.held = True
        following = follower(world)
        following.take(Feed(changes=(world.control.put("fraud", "2"),), position=2))
        await settle()
        following.take(Feed(changes=(world.control.put("fraud", "3"),), position=3))
        world.held = False
        world.runners[-1].gate.set()
        await settle()
        assert (await world.call("fraud")).outcome == b"3"

    asyncio.run(main())


def test_the_feed_goes_on_where_it_was_left_when_control_comes_back() -> None:
    async def main() -> None:
        world, naps = World(), Naps()
        following = follower(world, naps)
        running = asyncio.ensure_future(following.run())
        world.control.silent = True
        await settle()
        assert not following.connected
        world.control.silent = False
        naps.wake.set()
        world.control.feeds.put_nowait(Feed(changes=(world.control.put("fraud"),), position=7))
        await settle()
        assert following.connected
        assert world.state.position == 7
        assert [runner.spec.name for runner in world.runners] == ["fraud"]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


def test_a_node_starts_and_serves_with_control_dead(tmp_path: Path) -> None:
    async def main() -> None:
        first = World(RouteState(tmp_path / "routes.db"))
        first.control.put("fraud", "4")
        first.control.put("iris", "2", implicit=True)
        await follower(first).start()
        await first.call("iris")
        first.state.close()

        second = World(RouteState(tmp_path / "routes.db"))
        second.control.silent = True
        await follower(second).start()
        assert (await second.call("fraud")).outcome == b"4"
        assert (await second.call("iris")).outcome == b"2"
        second.state.close()

    asyncio.run(main())


def test_a_damaged_memory_is_forgotten_not_fatal(tmp_path: Path) -> None:
    path = tmp_path / "routes.db"
    path.write_bytes(b"this is no database" * 100)
    state = RouteState(path)
    assert state.position == -1
    assert state.desired() == []
    state.close()


def test_reports_are_made_when_something_changes_and_now_and_then() -> None:
    async def main() -> None:
        world, naps = World(), Naps()
        status = NodeStatus(node="n", url="u", position=1)
        reporter = Reporter(world.control, lambda: status, every=1.0, beat=3.0, sleep=naps)
        running = asyncio.ensure_future(reporter.run())
        for _ in range(4):
            await settle()
            naps.wake.set()
        await settle()
        assert len(world.control.reports) == 2, "at once, and after three beats"
        status = NodeStatus(node="n", url="u", position=2)
        naps.wake.set()
        await settle()
        assert world.control.reports[-1].position == 2
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())
