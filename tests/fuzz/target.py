"""What a fuzz target is: a function that takes any bytes and asserts an invariant, and how to get past its first checks.

A check raises nothing for input that is refused as documented. Anything else that leaves it is a finding, and so is an
input that costs more than `MAX_SECONDS` of processor time or `MAX_BYTES` of memory: `run_bounded` holds both.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

MAX_SECONDS = 0.1
"""Processor time of one input; inputs are at most `MAX_INPUT` long."""
MAX_BYTES = 64 * 1024 * 1024
"""Growth of the process's peak memory by one input."""
MAX_INPUT = 4096

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
CRASHES = HERE / "crashes"

Check = Callable[[bytes], None]
Mutate = Callable[[bytes, Random], bytes]


@dataclass(frozen=True, slots=True)
class Target:
    """One parser under test.

    Attributes:
        name: also the folder of its kept corpus.
        check: asserts the invariant for one input.
        seeds: valid inputs, to begin with.
        mutate: changes an input so that it still looks like one.
    """

    name: str
    check: Check
    seeds: Callable[[], Sequence[bytes]]
    mutate: Mutate

    def kept(self) -> list[Path]:
        """The inputs that are kept in the repository, and those that once broke this target on this machine."""
        return sorted([*(CORPUS / self.name).glob("*"), *(CRASHES / self.name).glob("*")])

    def examples(self) -> list[bytes]:
        """Seeds and kept inputs."""
        return [*self.seeds(), *(path.read_bytes() for path in self.kept())]


def run_bounded(target: Target, data: bytes, *, patience: float = 1.0) -> None:
    """Run one input and hold it to its bounds.

    Args:
        target: what to run.
        data: the input.
        patience: factor on the time, for instrumented code. A slow input gets a second chance: a collection of
            garbage, or a first import, is not its fault.
    """
    before = _peak_bytes()
    seconds = _timed(target.check, data)
    if seconds > MAX_SECONDS * patience:
        seconds = _timed(target.check, data)
    assert seconds <= MAX_SECONDS * patience, f"{len(data)} bytes took {seconds:.3f} s"
    grown = _peak_bytes() - before
    assert grown <= MAX_BYTES, f"{len(data)} bytes took {grown >> 20} MiB"


def _timed(check: Check, data: bytes) -> float:
    begin = time.thread_time()
    check(data)
    return time.thread_time() - begin


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def refused(call: Callable[[], object], *kinds: type[Exception]) -> Exception | None:
    """The documented error that a call ends with, or None."""
    try:
        call()
    except kinds as error:
        return error
    return None
