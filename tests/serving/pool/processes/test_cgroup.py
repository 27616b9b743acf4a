"""Limits that the kernel keeps."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from shoal.serving.batching.load import cpu_seconds
from shoal.serving.pool.processes import cgroup


@pytest.mark.process
def test_a_hog_gets_the_processor_time_that_it_may_have_and_its_cgroups_go_with_it() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input(); import time\nwhile True: pass"], stdin=subprocess.PIPE)
    try:
        cage = cgroup.limit(process.pid, cpu=0.2)
        if not cage.paths:
            pytest.skip("no cgroup for processors may be written here")
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        time.sleep(0.2)
        before, started = cpu_seconds([process.pid]), time.monotonic()
        time.sleep(1.0)
        share = (cpu_seconds([process.pid]) - before) / (time.monotonic() - started)
        assert share < 0.4
    finally:
        process.kill()
        process.communicate()
    cage.remove()
    assert not any(path.exists() for path in cage.paths)


def test_without_a_cgroup_memory_is_limited_by_what_may_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("V2", "V1_MEMORY", "V1_CPU"):
        monkeypatch.setattr(cgroup, name, tmp_path / "none" / name)
    process = subprocess.Popen([sys.executable, "-c", "input(); bytearray(1 << 30)"], stdin=subprocess.PIPE, stderr=-1)
    try:
        cage = cgroup.limit(process.pid, memory_bytes=256 * 1024 * 1024, cpu=1.0)
        _, said = process.communicate(b"\n", timeout=20)
        assert b"MemoryError" in said
        assert cage == cgroup.Cage(())
    finally:
        process.kill()


def test_what_a_killed_node_has_left_is_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("V1_MEMORY", "V1_CPU", "V2"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(cgroup, name, tmp_path / name)
    gone, alive = tmp_path / "V1_CPU" / f"shoal-{2**22 + 1}-1", tmp_path / "V2" / "shoal-1-1"
    gone.mkdir()
    alive.mkdir()
    cgroup.remove_stale()
    assert not gone.exists()
    assert alive.exists()
