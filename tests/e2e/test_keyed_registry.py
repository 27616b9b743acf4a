"""A node with a control of its own: keys come and go, and it goes on without anybody's doing."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from shoal.client import Client
from shoal.client.control import ControlClient
from shoal.control.home import Holder
from shoal.core.access import Grant
from shoal.core.errors import ShoalError, Unauthenticated
from shoal.core.keyring import KeyRequest
from shoal.core.registry import FileEntry, Manifest, NewVersion
from shoal.testing.node import serve

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

ECHO = b"class Echo:\n    def predict_all(self, inputs: list[str]) -> list[str]:\n        return inputs\n"
LAG_SECONDS = 5.0


def until(condition: Callable[[], bool], seconds: float = 40.0) -> float:
    """Wait for it; the seconds that it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + seconds, "it has not come about"
        time.sleep(0.02)
    return time.monotonic() - started


def request(role: str, namespace: str = "default") -> KeyRequest:
    return KeyRequest(name=role, grants=(Grant((role,), namespace),))


def test_a_node_and_its_control_with_keys(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serve(home=home) as node:
        with node.control() as control:
            root = control.create_key(request("admin", "*")).key
            with pytest.raises(Unauthenticated):
                control.models()
        with ControlClient(node.control_url, key=root) as control:
            digest = hashlib.sha256(ECHO).hexdigest()
            control.upload(digest, io.BytesIO(ECHO), len(ECHO))
            manifest = Manifest(files=(FileEntry(path="model.py", size=len(ECHO), sha256=digest),))
            control.register(NewVersion(model="echo", manifest=manifest))
            control.move_stage("default", "echo", "production", "1")
            caller = control.create_key(request("caller"))

            def asks(key: str) -> bool:
                with Client(node.url, key=key) as client:
                    try:
                        return bool(client.predict("echo", ["a"]) == ["a"])
                    except ShoalError:
                        return False

            until(lambda: asks(caller.key))
            assert not asks("")
            pid = msgspec.json.decode((home / "control.json").read_bytes(), type=Holder).pid
            os.kill(pid, signal.SIGKILL)
            assert asks(caller.key), "a dead control stops nobody"
            until(lambda: _answers(control))
            control.revoke_key(caller.entry.id)
            assert until(lambda: not asks(caller.key)) < LAG_SECONDS
            assert caller.key not in node.log()
            assert root not in node.log()
            assert control.verify_audit().broken == 0


def _answers(control: ControlClient) -> bool:
    try:
        control.models()
    except ShoalError:
        return False
    return True
