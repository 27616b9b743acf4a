"""The control that a node starts: what it says is logged as it was meant."""

from __future__ import annotations

import logging

import pytest

from shoal.node.control import relay


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ("10:37:03 INFO    listening", logging.INFO, "control: listening"),
        ("10:37:03 ERROR   no such file", logging.ERROR, "control: no such file"),
        ("Traceback (most recent call last):", logging.INFO, "control: Traceback (most recent call last):"),
    ],
)
def test_lines_keep_their_level_and_lose_their_time(
    line: str, level: int, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        relay(line)
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [(level, text)]
