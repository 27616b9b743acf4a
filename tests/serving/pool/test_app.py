"""The process of a full-custom app: kept running, slowly if it cannot, and never given up."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from shoal.core.model import ModelSpec
from shoal.serving.pool import supervisor
from shoal.serving.pool.app import AppProcess
from support.processes import descriptors

pytestmark = pytest.mark.process


def app(folder: Path, text: str) -> AppProcess:
    (folder / "app.py").write_text(text)
    spec = ModelSpec(name="m", path=str(folder), runtime="python", app="app:app")
    return AppProcess(spec, folder / "socket")


def test_an_app_that_cannot_start_is_tried_more_and_more_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.5)
    broken = f"open({str(tmp_path / 'starts')!r}, 'a').write('x')\nraise RuntimeError('no')\n"

    async def main() -> None:
        process = app(tmp_path, broken)
        process.start()
        await asyncio.sleep(3.0)
        await process.stop()

    asyncio.run(main())
    assert 2 <= len((tmp_path / "starts").read_text()) <= 4, "0.5, 1, 2 seconds apart, or half of that"


def test_an_app_comes_up_once_the_node_has_file_descriptors_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.05)
    fails = iter([True, True, False])
    spawn = asyncio.create_subprocess_exec

    async def scarce(*command: str, **fields: object) -> asyncio.subprocess.Process:
        if next(fails, False):
            raise OSError(24, "Too many open files")
        return await spawn(*command, **fields)  # type: ignore[arg-type]

    async def main() -> None:
        monkeypatch.setattr(asyncio, "create_subprocess_exec", scarce)
        before = descriptors()
        process = app(tmp_path, "async def app(scope, receive, send):\n    pass\n")
        process.start()
        deadline = time.monotonic() + 15
        while not (tmp_path / "socket").exists():
            assert time.monotonic() < deadline, "it was given up"
            await asyncio.sleep(0.02)
        assert descriptors() <= before + 4, "what failed left something open"
        await process.stop()

    asyncio.run(main())
