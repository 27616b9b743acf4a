"""`shoal push` where there is no room, and `shoal namespaces --usage`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shoal.client.control import ControlClient
from support.control_world import sha256
from support.controls import listening

Give = Callable[..., Any]


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlClient]:
    """A control whose namespaces hold little."""
    monkeypatch.setenv("SHOAL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SHOAL_CONTROL", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    with listening(tmp_path / "home", quotas={"*": {"models": 1, "bytes": "1Ki"}}) as client:
        yield client


def test_a_push_that_does_not_fit_sends_nothing_and_says_what_to_do(
    control: ControlClient, shoal: Give, told: Give, tmp_path: Path
) -> None:
    small, large, other = tmp_path / "iris.onnx", tmp_path / "large.onnx", tmp_path / "other.onnx"
    small.write_bytes(b"r1")
    large.write_bytes(b"r" * 1023)
    other.write_bytes(b"r2")
    shoal("push", small)
    refused = " ".join(shoal("push", large, "--name", "iris", code=1).split())
    assert "may hold 1024 bytes, and holds 2: 1023 more do not fit" in refused
    assert "delete versions" in refused
    assert not control.has_blob(sha256(b"r" * 1023))
    assert "may hold 1 models" in shoal("push", other, code=1)
    assert not control.has_blob(sha256(b"r2"))
    assert "1 of 1" in shoal("namespaces", "--usage")
    used = told("namespaces", "default", "--usage")["usage"]
    assert [(each["namespace"], each["used"]["bytes"], each["limits"]["bytes"]) for each in used] == [
        ("default", 2, 1024)
    ]
