from __future__ import annotations

from benchmarks.figures import split
from benchmarks.lab import Lab
from benchmarks.summary import Rounds, Sample, Target

TEXT = """\
# TYPE shoal_batch_rows histogram
shoal_batch_rows_bucket{process="proxy-1",model="mlp",version="",le="1.0"} 3.0
shoal_batch_rows_count{process="proxy-1",model="mlp",version=""} 3.0
shoal_batch_rows_sum{process="proxy-1",model="mlp",version=""} 40.0
shoal_batch_rows_count{process="proxy-2",model="mlp",version=""} 1.0
shoal_batch_rows_sum{process="proxy-2",model="mlp",version=""} 8.0
"""


def sample(p50: float, p99: float) -> Sample:
    return Sample(rate=1.0, p50=p50, p95=p99, p99=p99, requests=10)


def test_rows_and_batches_are_those_of_all_processes() -> None:
    assert split.totals(TEXT) == (48.0, 4.0)


def test_what_the_split_adds_is_told_round_by_round_in_microseconds() -> None:
    ours = Rounds("split", [sample(0.5, 1.0), sample(0.625, 1.0), sample(0.5, 1.0)])
    theirs = Rounds("whole", [sample(0.375, 1.0), sample(0.375, 1.0), sample(0.375, 1.0)])
    row = split.added(Lab(), "median", (ours, theirs), lambda each: each.p50, Target(150.0, at_least=False))
    assert row.ours is not None
    assert (row.ours.value.least, row.ours.value.median, row.ours.value.greatest) == (125.0, 125.0, 250.0)
    assert row.met
