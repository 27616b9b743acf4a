"""A process with few file descriptors: serves echo on a free port, which it prints, until its input ends.

Arguments: the limit of descriptors, and how many of them are taken from the start.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.listening import listening


async def main(most: int, hogged: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    kept = [os.open(os.devnull, os.O_RDONLY) for _ in range(hogged)]
    async with listening(grace=0.0) as listener:
        print(listener.port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    assert kept


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
