"""A child that is told to end does, one way or the other."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from shoal.serving.pool.processes.stopping import stop

pytestmark = pytest.mark.process

OBEDIENT = "import signal; print(flush=True); signal.pause()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {OBEDIENT}"


async def started(program: str) -> asyncio.subprocess.Process:
    """A child that runs this, and has come to its pause."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    return process


@pytest.mark.parametrize(
    ("program", "grace", "by"), [(OBEDIENT, 30.0, signal.SIGTERM), (DEAF, 0.05, signal.SIGKILL)], ids=["asked", "deaf"]
)
def test_it_is_asked_and_killed_only_if_it_does_not_go(program: str, grace: float, by: signal.Signals) -> None:
    async def main() -> None:
        process = await started(program)
        await stop(process, grace)
        assert process.returncode == -by

    asyncio.run(main())


def test_what_has_ended_or_never_was_is_nothing_to_do() -> None:
    async def main() -> None:
        process = await started("print(flush=True); raise SystemExit(3)")
        await process.wait()
        await stop(process, 0.0)
        await stop(None, 0.0)
        assert process.returncode == 3

    asyncio.run(main())
