from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.clock import ManualClock
from shoal.serving.pool.processes.output import MAX_LINES, LineCutter, OutputLog


@given(st.lists(st.text("abc ", min_size=1, max_size=30), max_size=10), st.lists(st.integers(1, 20), max_size=20))
def test_lines_come_out_whole_however_the_bytes_come_in(lines: list[str], cuts: list[int]) -> None:
    data, cutter, got, at = "".join(f"{line}\n" for line in lines).encode(), LineCutter(limit=20), [], 0
    for cut in [*cuts, len(data)]:
        got += cutter.feed(data[at : at + cut])
        at += cut
    got += cutter.end()
    assert got == [line[:20].rstrip() for line in lines if line[:20].strip()] or all(len(line) <= 20 for line in got)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_whatever_comes_lines_are_bounded_and_printable(chunks: list[bytes]) -> None:
    cutter = LineCutter(limit=50)
    lines = [line for chunk in chunks for line in cutter.feed(chunk)] + cutter.end()
    assert all(len(line) <= 50 and all(char.isprintable() or char == "\t" for char in line) for line in lines)
    assert len(cutter._rest) <= 50


def test_a_flood_is_cut_and_its_loss_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="shoal.worker.output")
    clock = ManualClock()
    log = OutputLog("m", "stdout", clock)
    log.data_received(b"line\n" * (MAX_LINES + 50))
    clock.advance(1)
    log.data_received(b"next\n")
    messages = [record.getMessage() for record in caplog.records]
    assert messages.count("m: line") == MAX_LINES
    assert messages[-2:] == ["m: 50 lines of output dropped", "m: next"]
