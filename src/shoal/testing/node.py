"""A running node for tests: `shoal serve` in a process of its own, stopped at the end.

from shoal.testing.node import serve

def test_it_predicts():
    with serve("model-folder", trust=True) as node:
        assert node.client().predict("iris", [[5.1, 3.5, 1.4, 0.2]]) == [0]

Without paths the node serves a registry of its own in `home`; `node.control()` pushes and deploys there.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.client import Client
    from shoal.client.control import ControlClient


class RunningNode:
    """A node that answers at `url`.

    Attributes:
        url: such as ``http://127.0.0.1:40123``.
        port: its data port.
        process: the process, for tests that want to hurt it.
        control_url: where the control answers that it follows; "" for a node that serves files.
    """

    def __init__(self, ready: dict[str, str], process: subprocess.Popen[bytes], log: Path) -> None:
        self.url = url = ready["url"]
        self.control_url = ready.get("control", "")
        self.port = int(url.rpartition(":")[2])
        self.process = process
        self._log = log

    def client(self, protocol: str = "rest") -> Client:
        """A client of this node; close it, or use it as a context manager."""
        from shoal.client import Client

        return Client(self.url, protocol=protocol)

    def control(self) -> ControlClient:
        """A client of the control that this node follows; close it, or use it as a context manager."""
        from shoal.client.control import ControlClient

        return ControlClient(self.control_url)

    def log(self) -> str:
        """What the node has said so far."""
        return self._log.read_text(errors="replace")


@contextmanager
def serve(
    *paths: str | Path,
    trust: bool = True,
    home: str | Path | None = None,
    arguments: Sequence[str] = (),
    environment: dict[str, str] | None = None,
    timeout: float = 60.0,
) -> Iterator[RunningNode]:
    """Serve models until the end of the `with` block.

    Args:
        paths: what `shoal serve` takes; none: the registry in `home`.
        trust: whether artifacts that can run code are loaded.
        home: where a node without paths keeps everything; by default a folder that goes with it.
        arguments: further options of `shoal serve`.
        environment: variables added to this process's own.
        timeout: seconds until all models must be there.

    Raises:
        RuntimeError: the node ended, or was not ready in time; the message holds its log.
    """
    reader, writer = os.pipe()
    with tempfile.TemporaryDirectory(prefix="shoal-node-") as scratch:
        log = Path(scratch, "log")
        command = [sys.executable, "-m", "shoal", "serve", *map(str, paths), "--port", "0", "--ready-fd", str(writer)]
        command += ["--home", str(home or Path(scratch, "home")), "--control-port", "0"]
        command += ["--trust"] * trust + list(arguments)
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=out, pass_fds=[writer], env={**os.environ, **(environment or {})}
            )
        os.close(writer)
        try:
            yield RunningNode(_wait_until_ready(reader, timeout, log), process, log)
        finally:
            os.close(reader)
            _stop(process)


def _wait_until_ready(reader: int, timeout: float, log: Path) -> dict[str, str]:
    readable, _, _ = select.select([reader], [], [], timeout)
    line = os.read(reader, 65536) if readable else b""
    if not line:
        what = "ended before it was ready" if readable else f"was not ready within {timeout:g} s"
        raise RuntimeError(f"the node {what}:\n{log.read_text(errors='replace')}")
    return dict(json.loads(line))


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
