"""The figures that scaling goes by."""

from __future__ import annotations

import os

from shoal.serving.batching.load import cpu_seconds


def test_processor_time_of_a_process_grows_and_of_none_is_nothing() -> None:
    before = cpu_seconds([os.getpid()])
    sum(number * number for number in range(2_000_000))
    assert cpu_seconds([os.getpid()]) >= before
    assert before > 0
    assert cpu_seconds([2**22 + 1]) == 0
