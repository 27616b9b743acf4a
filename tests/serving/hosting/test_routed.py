"""Models that control knows: looked for, woken, rolled, put to sleep."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from shoal.core.errors import NotFound, NotReady, Overloaded, Unavailable, Unsupported
from shoal.core.model import ModelState
from support.routed_world import World, scale_to_zero, settle


def test_the_first_call_finds_loads_and_is_answered() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", "3", implicit=True, placement="shared")
        call = await world.call("iris")
        assert call.outcome == b"3"
        assert (await world.call("iris")).outcome == b"3"
        assert world.control.asked == [("iris", "")], "control is asked once"
        assert [runner.log for runner in world.runners] == [["start"]]
        assert world.models.find("iris").state is ModelState.READY

    asyncio.run(main())


def test_calls_that_come_while_it_loads_wait_for_the_one_load() -> None:
    async def main() -> None:
        world = World()
        world.held = True
        world.control.put("iris", implicit=True)
        calls = [await world.call("iris") for _ in range(10)]
        assert [call.outcome for call in calls] == [None] * 10
        assert world.models.find("iris").state is ModelState.LOADING
        world.runners[0].gate.set()
        await settle()
        assert [call.outcome for call in calls] == [b"1"] * 10
        assert len(world.runners) == 1

    asyncio.run(main())


def test_a_call_that_a_load_of_known_length_outlasts_is_told_at_once_and_brings_the_model_all_the_same() -> None:
    async def main() -> None:
        world = World()
        world.held = True
        world.control.put("iris", implicit=True)
        first = await world.call("iris")
        world.clock.advance(300)  # nobody knows how long it takes: whoever asks waits
        assert first.outcome is None
        world.runners[0].gate.set()
        await settle()
        world.runners[0].evicted("others needed the room")
        await settle()
        hopeless = await world.call("iris")  # it may take sixty seconds, and the load took three hundred
        assert isinstance(hopeless.outcome, Overloaded)
        assert hopeless.outcome.retry_after == 150
        assert world.models.find("iris").state is ModelState.LOADING
        world.clock.advance(100)
        patient = await world.call("iris")
        assert patient.outcome is None
        world.runners[1].gate.set()
        await settle()
        assert patient.outcome == b"1"
        await world.models.stop(1)

    asyncio.run(main())


def test_a_call_whose_time_is_over_before_the_model_is_there_is_told() -> None:
    async def main() -> None:
        world = World()
        world.held = True
        world.control.put("iris", implicit=True)
        call = await world.call("iris")
        left = await world.call("iris")
        world.models.find("iris").dispatch.cancel(left)
        world.clock.advance(61)
        waiting = world.models.find("iris").pending
        waiting._watch._due(waiting._sweep)
        assert call.outcome is not None
        assert "could not be loaded" in str(call.outcome)
        assert left.outcome is None
        assert world.counted == ["cancelled", "deadline_exceeded"]
        await world.models.stop(1)

    asyncio.run(main())


def test_some_names_are_told_without_listing_all() -> None:
    async def main() -> None:
        world = World()
        for number in range(5):
            world.control.put(f"m{number}", implicit=True)
            await world.call(f"m{number}")
        assert [*world.models.some(2)] == ["m0", "m1"]
        assert len([*world.models.some(9)]) == 5

    asyncio.run(main())


def test_nobody_knows_it_is_believed_for_a_while() -> None:
    async def main() -> None:
        world = World()
        with pytest.raises(NotFound, match="there is no 'iris'"):
            await world.call("iris")
        assert not world.models.discoverable("iris")
        world.clock.advance(3)
        assert world.models.discoverable("iris")

    asyncio.run(main())


def test_a_load_that_fails_tells_why_and_is_not_tried_with_each_call() -> None:
    async def main() -> None:
        world = World()
        world.broken = {"1"}
        world.control.put("iris", implicit=True)
        first, second = await world.call("iris"), await world.call("iris")
        assert isinstance(first.outcome, NotReady)
        assert "it is broken" in str(first.outcome)
        assert isinstance(second.outcome, NotReady)
        assert second.outcome.retry_after == pytest.approx(1.0)
        assert len(world.runners) == 1
        assert world.models.find("iris").state is ModelState.UNAVAILABLE
        world.broken.clear()
        world.clock.advance(1.1)
        assert (await world.call("iris")).outcome == b"1"

    asyncio.run(main())


def test_what_is_to_run_is_tried_again_without_being_called() -> None:
    async def main() -> None:
        world = World()
        world.broken = {"1"}
        world.control.put("fraud")
        await world.models.ensure(world.control.routes["fraud", ""])
        await settle()
        assert world.naps == [pytest.approx(1.0)]
        world.rested.set()
        await settle()
        assert world.naps == [pytest.approx(1.0), pytest.approx(2.0)], "more and more slowly"
        world.broken.clear()
        world.rested.set()
        await settle()
        assert world.models.find("fraud").state is ModelState.READY
        await world.models.stop(1)

    asyncio.run(main())


def test_what_was_evicted_is_loaded_again_by_its_next_call() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", implicit=True)
        await world.call("iris")
        world.runners[0].evicted("others needed the room")
        await settle()
        handle = world.models.find("iris")
        assert handle.runner is None
        assert handle.state is ModelState.READY, "it can answer"
        assert "next request" in handle.reason
        assert world.released == ["1"]
        assert [event.what for event in world.journal.of("iris")] == ["loaded", "evicted"]
        assert (await world.call("iris")).outcome == b"1"
        assert world.control.asked == [("iris", "")], "its route was kept"

    asyncio.run(main())


def test_a_runner_with_requests_under_way_outlives_the_loss_of_its_seat() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", implicit=True)
        await world.call("iris")
        runner = world.runners[0]
        runner.seen = replace(runner.seen, in_flight=1)
        runner.evicted("its worker ended")
        await settle()
        assert runner.log == ["start"]
        assert world.models.find("iris").runner is runner

    asyncio.run(main())


def test_a_new_version_is_started_before_the_old_one_is_drained() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", "1")
        await world.call("iris")
        world.held = True
        world.control.put("iris", "2")
        rolling = asyncio.ensure_future(world.models.refresh(("iris", "")))
        await settle()
        assert (await world.call("iris")).outcome == b"1", "the old one serves meanwhile"
        world.runners[1].gate.set()
        await rolling
        await settle()
        assert (await world.call("iris")).outcome == b"2"
        assert world.runners[0].log == ["start", "drain"]
        assert world.runners[1].log == ["start all"]
        assert world.released == ["1"]

    asyncio.run(main())


def test_workers_are_replaced_when_the_network_is_taken_from_them() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", network=True)
        await world.call("iris")
        world.control.put("iris", network=True, forbidden=True)
        await world.models.refresh(("iris", ""))
        await settle()
        assert [each.log[0] for each in world.runners] == ["start", "start all"]

    asyncio.run(main())


def test_a_new_version_that_does_not_start_leaves_the_old_one_and_is_told_of() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", "1")
        await world.call("iris")
        world.broken = {"2"}
        world.control.put("iris", "2")
        await world.models.refresh(("iris", ""))
        assert (await world.call("iris")).outcome == b"1"
        told = world.models.status()[0]
        assert (told.state, told.version) == ("READY", "1")
        assert "version 2 is not served, version 1 goes on: it is broken" in told.reason
        world.missing = {"3"}
        world.control.put("iris", "3")
        await world.models.refresh(("iris", ""))
        assert (await world.call("iris")).outcome == b"1"

    asyncio.run(main())


def test_a_model_whose_files_are_gone_is_not_ready_and_still_there() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", "1")
        world.refused = {"1": NotFound("there is no blob abc", hint="push again")}
        outcome = (await world.call("iris")).outcome
        assert isinstance(outcome, NotReady)
        assert (outcome.message, outcome.hint) == ("model 'iris' is not ready: there is no blob abc", "push again")
        world.refused = {}
        world.clock.advance(2.0)
        assert (await world.call("iris")).outcome == b"1"

    asyncio.run(main())


def test_sizes_and_batching_change_without_new_workers() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", "1")
        await world.call("iris")
        world.control.put("iris", "1", replicas=20)
        await world.models.refresh(("iris", ""))
        world.control.put("iris", "1", replicas=20, batching={"max_size": 8}, description="better")
        await world.models.refresh(("iris", ""))
        assert world.runners[0].log == ["start", "resize 20", "configure 8"]
        assert len(world.runners) == 1
        world.control.put("iris", "1", replicas=20, variables={"A": "1"})
        await world.models.refresh(("iris", ""))
        assert len(world.runners) == 2, "another environment needs other workers"

    asyncio.run(main())


def test_a_service_scaled_to_zero_comes_back_with_its_next_request() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", "1", autoscaling=scale_to_zero())
        await world.call("iris")
        await world.models.lifecycle.resize(world.models.find("iris"), 0, "idle")
        assert world.runners[0].log == ["start", "drain"]
        assert (await world.call("iris")).outcome == b"1"
        assert len(world.runners) == 2

    asyncio.run(main())


def test_what_is_undeployed_is_drained_and_gone() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris")
        await world.call("iris")
        world.control.routes.clear()
        await world.models.refresh(("iris", ""))
        assert world.runners[0].log == ["start", "drain"]
        with pytest.raises(NotFound):
            world.models.find("iris")

    asyncio.run(main())


def test_a_service_without_a_version_says_so() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", target=False, reason="stage production of model iris points at nothing")
        call = await world.call("iris")
        assert "points at nothing" in str(call.outcome)
        world.control.put("iris", "1")
        await world.models.refresh(("iris", ""))
        assert (await world.call("iris")).outcome == b"1"
        world.control.put("iris", target=False, reason="version 1 was deleted")
        await world.models.refresh(("iris", ""))
        assert "version 1 was deleted" in str((await world.call("iris")).outcome)

    asyncio.run(main())


def test_a_version_that_a_caller_names_is_served_beside_the_default() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", "2", implicit=True)
        world.control.put("iris", "1", implicit=True, asked="1")
        assert (await world.call("iris")).outcome == b"2"
        assert (await world.call("iris", "2")).outcome == b"2"
        assert (await world.call("iris", "1")).outcome == b"1"
        assert [each.spec.version for each in world.models.versions("iris")] == ["1", "2"]
        assert len(world.runners) == 2

    asyncio.run(main())


def test_load_and_unload_by_the_repository_protocol() -> None:
    async def main() -> None:
        world = World()
        world.control.put("iris", implicit=True, placement="shared")
        world.control.put("fraud")
        await world.models.load("iris")
        assert world.models.find("iris").runner is not None
        await world.models.unload("iris")
        assert world.models.find("iris").runner is None
        await world.models.load("fraud")
        with pytest.raises(Unsupported, match="is to run"):
            await world.models.unload("fraud")
        with pytest.raises(Unsupported):
            await world.models.load("iris", "{}")
        with pytest.raises(NotFound):
            await world.models.load("nobody")

    asyncio.run(main())


def test_control_that_is_silent_at_the_first_call_is_an_answer_too() -> None:
    async def main() -> None:
        world = World()
        world.control.silent = True
        with pytest.raises(Unavailable):
            await world.call("iris")
        world.control.silent = False
        world.control.put("iris", implicit=True)
        assert (await world.call("iris")).outcome == b"1", "and it is not remembered"

    asyncio.run(main())


def test_whoever_waits_when_the_node_stops_is_told() -> None:
    async def main() -> None:
        world = World()
        world.held = True
        world.control.put("iris", implicit=True)
        call = await world.call("iris")
        await world.models.stop(1)
        assert isinstance(call.outcome, Unavailable)

    asyncio.run(main())
