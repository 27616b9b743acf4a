"""The fuzz targets without a fuzzer: every kept input, and a seeded short form of what the long runs do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fuzz.registry import TARGETS
from fuzz.target import CORPUS, MAX_INPUT, Target, run_bounded

PER_EXAMPLE = 40
EXAMPLES = 50

each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))


@each_target
def test_seeds_and_kept_inputs_hold(target: Target) -> None:
    for data in target.examples():
        run_bounded(target, data, patience=2.0)


@each_target
def test_mutations_hold(target: Target) -> None:
    """2,000 inputs per target, the same in every run. A failure names the input: keep it in the target's corpus."""
    examples = target.examples()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # what fails is an input, which no smaller seed explains better
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32))
    def run(seed: int) -> None:
        random = Random(seed)
        for data in islice(_mutations(target, examples, random), PER_EXAMPLE):
            try:
                run_bounded(target, data, patience=3.0)
            except BaseException as error:
                error.add_note(f"input of {target.name}: {data!r}")
                raise

    run()


def _mutations(target: Target, examples: list[bytes], random: Random) -> Iterator[bytes]:
    while True:
        data = random.choice(examples)
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            data = target.mutate(data, random)[:MAX_INPUT]
        yield data


def test_the_corpus_is_small() -> None:
    for folder in CORPUS.iterdir():
        assert folder.name in TARGETS, f"{folder.name} is no target"
        files = list(folder.iterdir())
        assert len(files) <= 40
        assert all(file.stat().st_size <= MAX_INPUT for file in files)
