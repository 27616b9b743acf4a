"""The process of a full-custom app: kept running, slowly if it cannot, and never given up."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from shoal.core.confinement import Rules
from shoal.core.model import ModelSpec
from shoal.serving.pool import supervisor
from shoal.serving.pool.app import AppProcess
from shoal.serving.pool.confining.confiner import Confiner
from shoal.serving.worker.confinement import landlock, seccomp
from support.processes import descriptors

pytestmark = pytest.mark.process


def app(folder: Path, text: str, confiner: Confiner | None = None, listens_in: Path | None = None) -> AppProcess:
    (folder / "app.py").write_text(text)
    spec = ModelSpec(name="m", path=str(folder), runtime="python", app="app:app")
    return AppProcess(spec, (listens_in or folder) / "socket", confiner=confiner)


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


TRIES = """\
import os
import socket

ANSWER = []
for what in (lambda: socket.socket(socket.AF_UNIX), lambda: os.unlink({socket!r}), lambda: os.listdir({folder!r})):
    try:
        what()
        ANSWER.append("done")
    except OSError as error:
        ANSWER.append("refused")


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"23")]}})
    await send({{"type": "http.response.body", "body": " ".join(ANSWER).encode()}})
"""


@pytest.mark.skipif(not (seccomp.available() and landlock.version()), reason="the kernel does not have the means")
def test_an_app_can_neither_call_other_sockets_nor_put_one_in_the_place_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, private = tmp_path / "app", tmp_path / "private"
    folder.mkdir()
    private.mkdir(mode=0o700)

    async def main() -> bytes:
        confiner = Confiner(Rules())
        process = app(folder, TRIES.format(socket=str(private / "socket"), folder=str(private)), confiner, private)
        process.start()
        try:
            return await answered(private / "socket")
        finally:
            await process.stop()
            confiner.close()

    assert asyncio.run(main()) == b"refused refused refused"
    assert list(private.iterdir()) == [], "it goes with its process"


async def answered(path: Path) -> bytes:
    """What the app says, once it listens."""
    async with asyncio.timeout(20):
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(path)
                break
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(0.02)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
    return answer.rpartition(b"\r\n\r\n")[2]
