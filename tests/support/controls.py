"""A control that listens: in a thread of the test, or in a process of its own."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shoal.client.control import ControlClient
from shoal.control.main import running
from shoal.core.settings.control import ControlSettings

START_SECONDS = 30.0


@contextmanager
def listening(home: Path, **settings: Any) -> Iterator[ControlClient]:
    """A client of a control that runs in this process."""
    fields = {"home": home, "port": 0, "grace_seconds": 1.0, **settings}
    with running(ControlSettings(**fields)) as server, ControlClient(server.url, sleep=lambda _: None) as client:
        yield client


class ControlProcess:
    """A `shoal control` in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self.url = url

    def stop(self) -> int:
        """End it gracefully; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@contextmanager
def control_process(home: Path, *arguments: str, environment: dict[str, str] | None = None) -> Iterator[ControlProcess]:
    """A control, until the end of the `with` block."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "shoal", "control", "--home", str(home), "--port", "0", "--ready-fd", str(writer)]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *arguments], stdout=log, stderr=log, pass_fds=[writer], env=clean(environment or {})
        )
    os.close(writer)
    try:
        readable, _, _ = select.select([reader], [], [], START_SECONDS)
        line = os.read(reader, 65536) if readable else b""
        assert line, (home / "log").read_text()
        yield ControlProcess(process, str(json.loads(line)["url"]))
    finally:
        os.close(reader)
        if process.poll() is None:
            process.kill()
        process.wait()


def clean(more: dict[str, str]) -> dict[str, str]:
    """This process's environment without what would lead a command to another control."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHOAL")}
    return {**kept, "COLUMNS": "160", **more}


def shoal(*words: str, home: Path, expected: Sequence[int] = (0,), **environment: str) -> str:
    """Run a command on a home; what it has printed."""
    command = [sys.executable, "-m", "shoal", *words]
    seen = subprocess.run(
        command, env=clean({"SHOAL_HOME": str(home), **environment}), capture_output=True, text=True, timeout=50
    )
    assert seen.returncode in expected, f"{words}\n{seen.stdout}{seen.stderr}"
    return seen.stdout + seen.stderr
