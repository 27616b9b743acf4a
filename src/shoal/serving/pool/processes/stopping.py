"""The end of a child process that is no worker: it is asked, and if it does not go it is killed.

A worker is not ended like this: once it is drained, `process` kills it with all that it has forked.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def stop(process: asyncio.subprocess.Process | None, grace: float) -> None:
    """SIGTERM, then SIGKILL; when this returns, the process is no more.

    Args:
        process: one that has ended, or None, is nothing to do.
        grace: seconds that it has to end by itself.
    """
    if process is None or process.returncode is not None:
        return
    with suppress(ProcessLookupError):  # it has ended by itself meanwhile
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), grace)
        except TimeoutError:
            process.kill()
            await process.wait()
