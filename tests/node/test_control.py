"""The control that a node starts: what it says is logged as it was meant, and it is started again at once."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from pathlib import Path

import pytest

from shoal.core.settings.node import NodeSettings
from shoal.node.control import IN_USE, OwnControl
from shoal.node.tree.child import relay
from support.controls import control_process


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
        relay("control", line)
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [(level, text)]


def pid_of(home: Path) -> int:
    return int(json.loads((home / "control.json").read_text())["pid"])


async def follows_another(home: Path, before: int) -> None:
    while pid_of(home) == before:
        await asyncio.sleep(0.02)


@pytest.mark.process
def test_one_that_was_killed_is_started_again_without_taking_its_word_for_anothers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        control = OwnControl(NodeSettings(home=tmp_path, control_port=0))
        await control.start()
        try:
            before = pid_of(tmp_path)
            os.kill(before, signal.SIGKILL)
            await asyncio.wait_for(follows_another(tmp_path, before), 30)
        finally:
            await control.stop()

    with caplog.at_level(logging.WARNING, "shoal.node.control"):
        asyncio.run(main())
    (told,) = [each.getMessage() for each in caplog.records if "starting it again" in each.getMessage()]
    assert float(told.split()[-2]) < IN_USE


@pytest.mark.process
def test_one_that_uses_the_home_already_is_followed(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        control = OwnControl(NodeSettings(home=tmp_path, control_port=0))
        await control.start()
        try:
            assert control.url == url
        finally:
            await control.stop()

    with control_process(tmp_path) as other:
        asyncio.run(main(other.url))
