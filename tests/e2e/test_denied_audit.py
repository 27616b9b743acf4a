"""What the data port denies is in control's audit log soon after, whatever processes the node is made of."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from shoal.client import Client
from shoal.client.control import ControlClient
from shoal.control.home import Holder
from shoal.core.access import Grant
from shoal.core.errors import PermissionDenied, ShoalError
from shoal.core.keyring import KeyRequest, NewKey
from shoal.core.registry import FileEntry, Manifest, NewVersion
from shoal.testing.node import RunningNode, serve

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

ECHO = b"class Echo:\n    def predict_all(self, inputs: list[str]) -> list[str]:\n        return inputs\n"
ASKED = 7


def until(condition: Callable[[], bool], seconds: float = 40.0) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + seconds, "it has not come about"
        time.sleep(0.05)


def key(control: ControlClient, role: str, namespace: str = "default") -> NewKey:
    return control.create_key(KeyRequest(name=role, grants=(Grant((role,), namespace),)))


@pytest.mark.parametrize("processes", [(), ("--gateways", "2", "--proxies", "1")], ids=["whole", "split"])
def test_what_a_viewer_is_denied_is_in_the_audit_log(tmp_path: Path, processes: tuple[str, ...]) -> None:
    with serve(home=tmp_path / "home", arguments=processes) as node:
        with node.control() as control:
            root = key(control, "admin", "*").key
        with ControlClient(node.control_url, key=root) as control:
            digest = hashlib.sha256(ECHO).hexdigest()
            control.upload(digest, io.BytesIO(ECHO), len(ECHO))
            manifest = Manifest(files=(FileEntry(path="model.py", size=len(ECHO), sha256=digest),))
            control.register(NewVersion(model="echo", manifest=manifest))
            viewer = key(control, "viewer")
            until(lambda: _denied(node, viewer.key))
            if not processes:
                _kill(tmp_path / "home")  # what is denied meanwhile is told later
            done = sum(_denied(node, viewer.key) for _ in range(ASKED)) + 1
            until(lambda: _counted(control, viewer.entry.id) >= done)
            assert processes == () or _counted(control, viewer.entry.id) == done
            assert control.verify_audit().broken == 0
        if processes:
            return
        variables = {**os.environ, "SHOAL_API_KEY": root, "SHOAL_CONTROL": node.control_url}
        listed = _run(variables, "audit", "list", "--json", "--limit", "1000")
        found = [each for each in json.loads(listed)["events"] if each["action"] == "data.infer"]
        assert {(each["actor"], each["subject"], each["namespace"], each["outcome"]) for each in found} == {
            (viewer.entry.id, "echo", "default", "denied")
        }
        assert "are as they were written" in _run(variables, "audit", "verify")


def _denied(node: RunningNode, viewer: str) -> bool:
    """Whether the viewer was known, and was denied an answer."""
    with Client(node.url, key=viewer) as client:
        try:
            client.predict("echo", ["a"])
        except PermissionDenied:
            return True
        except ShoalError:
            return False
    return False


def _counted(control: ControlClient, who: str) -> int:
    """How many denied questions the log tells of."""
    try:
        events = control.events(limit=1000).events
    except ShoalError:
        return -1
    return sum(each.detail["count"] for each in events if (each.actor, each.action) == (who, "data.infer"))


def _kill(home: Path) -> None:
    os.kill(msgspec.json.decode((home / "control.json").read_bytes(), type=Holder).pid, signal.SIGKILL)


def _run(variables: dict[str, str], *command: str) -> str:
    made = subprocess.run(
        [sys.executable, "-m", "shoal", *command], env=variables, capture_output=True, text=True, timeout=60, check=True
    )
    return made.stdout
