"""One coverage-guided run of one target: what `run` starts, with atheris instrumenting all of `shoal` as it is imported.

python -m fuzz.child TARGET [libFuzzer's options and folders]
"""

from __future__ import annotations

import sys
from random import Random

import atheris

PATIENCE = 5.0
"""Instrumented code is slower by about this factor."""

with atheris.instrument_imports(include=["shoal"]):
    from fuzz.registry import TARGETS
from fuzz.target import run_bounded  # noqa: E402 - after what must be instrumented


def main(name: str, options: list[str]) -> None:
    """Fuzz until libFuzzer's limit; the process ends here, with its exit code."""
    target = TARGETS[name]

    def test_one_input(data: bytes) -> None:
        run_bounded(target, data, patience=PATIENCE)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.4:
            return bytes(atheris.Mutate(data, max_size))
        return target.mutate(data, random)[:max_size]

    atheris.Setup([sys.argv[0], *options], test_one_input, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
