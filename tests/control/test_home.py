"""A home belongs to one process at a time, and says to whom."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from shoal.control.home import Home, found
from shoal.core.clock import ManualClock
from shoal.core.errors import ConfigError, Conflict


def test_a_second_one_is_refused_with_pid_and_url(tmp_path: Path) -> None:
    with Home(tmp_path) as first:
        first.announce("http://127.0.0.1:1234")
        with (
            pytest.raises(Conflict, match=f"process {os.getpid()}, which answers at http://127.0.0.1:1234") as error,
            Home(tmp_path),
        ):
            pass
        assert "--control http://127.0.0.1:1234" in error.value.hint
        assert found(tmp_path) == "http://127.0.0.1:1234"
    with Home(tmp_path):
        assert found(tmp_path) == ""


def test_a_refused_one_takes_nothing_away(tmp_path: Path) -> None:
    with Home(tmp_path) as first:
        first.announce("http://127.0.0.1:1")
        with pytest.raises(Conflict), Home(tmp_path):
            pass
        assert json.loads((tmp_path / "control.json").read_bytes()) == {"pid": os.getpid(), "url": "http://127.0.0.1:1"}


def test_it_waits_for_another_to_be_done(tmp_path: Path) -> None:
    first, clock = Home(tmp_path), ManualClock()
    first.__enter__()
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock.advance(seconds)
        if len(waits) == 3:
            first.__exit__(None, None, None)

    with Home(tmp_path, wait_seconds=10.0, clock=clock, sleep=sleep):
        assert len(waits) == 3


def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    clock = ManualClock()
    with Home(tmp_path), pytest.raises(Conflict), Home(tmp_path, wait_seconds=1.0, clock=clock, sleep=clock.advance):
        pass


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"url": 1}', b"\xff"])
def test_what_is_no_announcement_names_nobody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "control.json").write_bytes(content)
    assert found(tmp_path) == ""


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be the home"), Home(tmp_path / "file"):
        pass


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    with Home(tmp_path / "new"):
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "new/control.lock").stat().st_mode & 0o777 == 0o600
