"""What was denied comes to control once, however often control is away; without one it is in the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec
import pytest

from shoal.core.errors import NotFound, PermissionDenied, ShoalError, Unavailable
from shoal.core.keyring import Denied, DeniedBatch
from shoal.node.denials import Reporting
from shoal.serving.gateway.guard.denials import Denials
from support.running import run


class Control:
    """Keeps batches by their keys, as control does; may be away, or lose its answers."""

    def __init__(self) -> None:
        self.batches: dict[str, DeniedBatch] = {}
        self.asked = 0
        self.away: ShoalError | None = None
        self.loses = False

    async def take(self, batch: DeniedBatch, key: str) -> None:
        self.asked += 1
        if self.away:
            raise self.away
        assert self.batches.setdefault(key, batch) == batch, "the same key with another batch"
        if self.loses:
            raise Unavailable("the answer was lost")

    @property
    def counted(self) -> int:
        return sum(each.count for batch in self.batches.values() for each in batch.attempts)


def deny(denials: Denials, times: int = 1, who: str = "ann") -> None:
    for _ in range(times):
        denials.note(PermissionDenied("no"), who, "10.0.0.1", (), "iris")


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.005)


def test_what_was_denied_comes_to_control_by_itself() -> None:
    async def main() -> None:
        denials, control = Denials(), Control()
        reporting = Reporting(denials, control.take, every=0.01)
        reporting.start()
        deny(denials, 3)
        await until(lambda: control.counted == 3)
        await reporting.stop()

    run(main())


def test_while_control_is_away_or_its_answers_are_lost_everything_is_kept_and_recorded_once() -> None:
    async def main() -> None:
        denials, control = Denials(kept=4), Control()
        reporting = Reporting(denials, control.take)
        control.away = Unavailable("away")
        for number in range(100):
            deny(denials, who=f"w{number}")
            assert not await reporting.tell()
            assert len(denials) <= 5, "it grows while control is away"
        control.away, control.loses = None, True
        assert not await reporting.tell()
        control.loses = False
        while control.counted < 100:
            assert await reporting.tell()
        assert control.counted == 100
        await reporting.stop()

    run(main())


def test_what_is_left_at_the_end_is_told_or_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        denials, control = Denials(), Control()
        reporting = Reporting(denials, control.take)
        reporting.start()
        deny(denials)
        await reporting.stop()
        assert control.counted == 1
        control.away = Unavailable("away")
        deny(denials, 2)
        await Reporting(denials, control.take).stop()

    run(main())
    assert [each.count for each in logged(caplog)] == [2]


@pytest.mark.parametrize("refuses", [False, True])
def test_without_a_control_that_takes_it_each_is_a_line_of_json(
    caplog: pytest.LogCaptureFixture, refuses: bool
) -> None:
    async def main() -> None:
        denials, control = Denials(), Control()
        control.away = NotFound("there is no such path")  # an older one
        reporting = Reporting(denials, control.take if refuses else None)
        deny(denials, 2)
        deny(denials, who="b\nob")
        assert await reporting.tell()
        assert control.asked == refuses
        await reporting.stop()

    run(main())
    assert [(each.who, each.count, each.model) for each in logged(caplog)] == [("ann", 2, "iris"), ("b�ob", 1, "iris")]


def logged(caplog: pytest.LogCaptureFixture) -> list[Denied]:
    lines = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    return [msgspec.json.decode(line.removeprefix("denied "), type=Denied) for line in lines if line.startswith("den")]
