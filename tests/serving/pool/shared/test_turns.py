"""Who is sent behind whom in a worker that models share."""

from __future__ import annotations

import asyncio

from shoal.core.errors import Overloaded
from support.shared_world import SharedWorld


def test_one_call_is_not_kept_back_by_a_larger_batch_of_another_model() -> None:
    async def main() -> None:
        world = await resting()
        (member,) = world.members
        await calls(world, 0, 0)
        await calls(world, 1)
        assert [sent.job.rows for sent in member.jobs] == [2, 1]
        await world.come_to_rest()
        await world.stop()

    asyncio.run(main())


def test_one_call_waits_for_company_behind_a_larger_batch_of_its_own_model() -> None:
    async def main() -> None:
        world = await resting()
        (member,) = world.members
        await calls(world, 0, 0)
        await calls(world, 0)
        assert [sent.job.rows for sent in member.jobs] == [2]
        member.answer()
        await world.turn()
        assert [sent.job.rows for sent in member.jobs] == [1]
        await world.come_to_rest()
        await world.stop()

    asyncio.run(main())


def test_whose_turn_cannot_come_in_time_is_told_at_once_and_nobody_else() -> None:
    async def main() -> None:
        world = await resting(3)
        (place,) = world.pool.places
        place.pace.seconds = 6.0
        await calls(world, 0, 0)
        await calls(world, 1)
        await calls(world, 2)  # two jobs and its own: 18 of its 20 seconds
        assert not world.calls[-1].outcome.done()
        await calls(world, 0)  # these and one more
        assert isinstance(world.calls[-1].outcome.result(), Overloaded)
        assert sum(call.outcome.done() for call in world.calls[3:]) == 1
        del world.models[world.calls.pop()]
        await world.come_to_rest()
        await world.stop()

    asyncio.run(main())


async def resting(models: int = 2) -> SharedWorld:
    """Models in one worker, batches of two at most; nothing is at work."""
    world = SharedWorld(models, workers=1)
    await world.start()
    for number in range(models):
        world.submit(number)
    await world.come_to_rest()
    return world


async def calls(world: SharedWorld, *numbers: int) -> None:
    """One of each of these models, all at once."""
    for number in numbers:
        world.submit(number)
    await world.turn()
