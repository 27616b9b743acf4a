"""A process that is kept running: it comes back when it dies, gives up when that is of no use, and ends when asked."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import pytest

from shoal.core.errors import ConfigError, ShoalError
from shoal.node.tree.kept import LOOK_SECONDS, Kept

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

READY = 'import os, sys, time; os.write(int(sys.argv[1]), b\'{"pid": "%d"}\\n\' % os.getpid()); '
PATIENT = READY + "time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + PATIENT
POLITE = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(CODE)); " + PATIENT


TURNING = """
import asyncio, os, sys
from shoal.node.tree.beating import Beat

async def main():
    os.write(int(sys.argv[1]), b'{"pid": "%d"}\\n' % os.getpid())
    Beat(int(sys.argv[1]), seconds=0.02)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def kept(program: str, look: float) -> Kept:
    command = [sys.executable, "-c", program]
    return Kept("proxy-1", lambda ready: [*command, str(ready)], chance=lambda: 0.0, look_seconds=look)


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not what():
            await asyncio.sleep(0.01)


def run(program: str, test: Callable[[Kept], Awaitable[None]], look: float = LOOK_SECONDS) -> None:
    async def main() -> None:
        each = kept(program, look)
        each.start()
        try:
            await test(each)
        finally:
            each.kill()
            await each.stop(10)

    asyncio.run(main())


def test_one_that_was_killed_comes_back_as_another() -> None:
    async def test(each: Kept) -> None:
        await each.started()
        before = each.told["pid"]
        os.kill(int(before), signal.SIGKILL)
        await until(lambda: each.ready and each.told["pid"] != before)
        assert each.starts == 2

    run(PATIENT, test)


@pytest.mark.parametrize(("code", "whole"), [(0, True), (1, False)])
def test_its_exit_code_says_whether_it_finished_what_it_had(code: int, whole: bool) -> None:
    async def test(each: Kept) -> None:
        await each.started()
        assert await each.stop(20) is whole

    run(POLITE.replace("CODE", str(code)), test)


def test_one_that_stands_still_is_killed_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    async def test(each: Kept) -> None:
        await each.started()
        before = each.told["pid"]
        os.kill(int(before), signal.SIGSTOP)
        await until(lambda: each.ready and each.told["pid"] != before)
        assert each.starts >= 2

    run(TURNING, test, look=0.1)
    assert "does not turn any more" in caplog.text


def test_one_that_does_not_end_is_killed_after_the_grace(caplog: pytest.LogCaptureFixture) -> None:
    async def test(each: Kept) -> None:
        await each.started()
        assert not await each.stop(0.2)

    run(STUBBORN, test)
    assert "has not ended" in caplog.text


def test_wrong_settings_are_told_and_not_tried_again() -> None:
    said = "import sys; print('shoal: the port is taken\\n  hint: take another', file=sys.stderr); sys.exit(2)"

    async def test(each: Kept) -> None:
        with pytest.raises(ConfigError, match="the port is taken") as told:
            await each.started()
        assert told.value.hint == "take another"
        assert each.starts == 1

    run(said, test)


def test_one_that_never_becomes_ready_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    async def test(each: Kept) -> None:
        with caplog.at_level(logging.WARNING), pytest.raises(ShoalError, match=r"proxy-1 did not start: exit_3"):
            await each.started()
        assert each.starts == 5

    run("import sys; sys.exit(3)", test)


def test_one_that_is_stopped_before_it_is_ready_did_nothing_wrong() -> None:
    async def test(each: Kept) -> None:
        assert await each.stop(20)

    run("import time; time.sleep(60)", test)
