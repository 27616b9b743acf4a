"""Versions that roll, nodes that drain, controls that are killed, clocks that jump, disks that fill, all under load."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from chaos.harness.campaign import campaign
from chaos.harness.injectors import WallClock, send, until
from chaos.harness.models import paced, right
from chaos.harness.sizes import LONG, PATIENCE, size
from shoal.testing.node import serve
from support.trouble import fill, small_disk
from support.walking import deploy, push_oracle, ready

pytestmark = [pytest.mark.process, pytest.mark.timeout(PATIENCE)]

DAY = 86_400


def test_rolling_changes(tmp_path: Path) -> None:
    """A stage moves to and fro; each version is the right one for some time, and no request fails."""
    cycles, requests = (20, 50_000) if LONG else (4, 600)
    with campaign("rolling_changes", home=tmp_path / "home") as chaos, chaos.node.control() as control:
        for _ in range(2):
            push_oracle(control, "rolling")
        control.move_stage("default", "rolling", "production", "1")
        deploy(control, "rolling")
        until(lambda: ready(control, "rolling", 1))
        chaos.warm(right("rolling", "12"))
        with chaos.load(right("rolling", "12"), rate=600 if LONG else 200) as load:
            for cycle in range(cycles):
                version = 2 - cycle % 2
                control.move_stage("default", "rolling", "production", str(version))
                until(lambda v=version: ready(control, "rolling", v))
                load.reached(requests * (cycle + 1) // cycles)
        chaos.figures["changes"] = cycles


def test_drains(tmp_path: Path) -> None:
    """One of two nodes gets SIGTERM again and again; a balancer that offers what nobody took to the other loses nothing."""
    drains, requests = size(1, 20), 50_000 if LONG else 300
    paced(tmp_path, "paced", workers=1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with campaign("drains", tmp_path) as chaos:
        chaos.warm(right("paced"))
        chaos.accounted = False  # half of the accounts end with the node that holds them
        urls = [f"http://127.0.0.1:{port}", chaos.node.url]
        seconds = []
        with chaos.load(right("paced"), rate=200, urls=urls) as load:
            for drain in range(drains):
                load.shunned.add(urls[0])
                with serve(tmp_path, arguments=["--port", str(port)]) as second:
                    load.shunned.discard(urls[0])
                    load.reached(load.ledger.ended + 50)
                    load.reached(requests * (drain + 1) // drains)
                    second.process.send_signal(signal.SIGTERM)
                    begun = time.monotonic()
                    assert second.process.wait(timeout=40) == 0, second.log()
                    seconds.append(time.monotonic() - begun)
        chaos.figures |= {"drains": drains, "longest_drain_seconds": round(max(seconds), 2)}


def test_control_kills(tmp_path: Path) -> None:
    """Control is killed again and again; who calls what is served does not notice."""
    home = tmp_path / "home"
    with campaign("control_kills", home=home) as chaos:
        with chaos.node.control() as control:
            push_oracle(control, "steady")
            control.move_stage("default", "steady", "production", "1")
            deploy(control, "steady")
            until(lambda: ready(control, "steady", 1))
        chaos.warm(right("steady", "1"))
        chaos.steady = False  # control is one of its processes
        kills = size(1, 100)
        with chaos.load(right("steady", "1"), rate=100):
            for _ in range(kills):
                time.sleep(chaos.random.uniform(0.0, 0.3))
                pid = control_pid(home)
                send(pid, signal.SIGKILL)
                until(lambda pid=pid: control_pid(home) not in (0, pid))
        chaos.figures["kills"] = kills


def control_pid(home: Path) -> int:
    """The process of the control that answers for a home; 0 while its file is being written."""
    try:
        return int(json.loads((home / "control.json").read_text())["pid"])
    except (OSError, ValueError):
        return 0


def test_a_clock_that_jumps(tmp_path: Path) -> None:
    """The wall clock of node and control jumps by a day, both ways: nothing expires, nothing is started anew."""
    clock = WallClock(tmp_path)
    home = tmp_path / "home"
    with campaign("clock", home=home, environment=clock.environment) as chaos:
        with chaos.node.control() as control:
            push_oracle(control, "steady")
            control.move_stage("default", "steady", "production", "1")
            deploy(control, "steady")
            until(lambda: ready(control, "steady", 1))
        chaos.warm(right("steady", "1"))
        with chaos.load(right("steady", "1"), rate=100) as load:
            for days in size(2, 20) // 2 * (1, -1):
                clock.move(days * DAY)
                load.reached(load.ledger.ended + 30)
            clock.move(0)


def test_a_disk_that_fills(tmp_path: Path) -> None:
    """What a node keeps and what is temporary have no room left: what is served goes on."""
    paced(tmp_path / "models", "paced", workers=1)
    with (
        small_disk(tmp_path / "small", "16m") as disk,
        campaign("disk", tmp_path / "models", home=disk / "home", temporary=disk) as chaos,
    ):
        chaos.warm(right("paced"))
        with chaos.load(right("paced"), rate=100) as load:
            filler = fill(disk)
            load.reached(load.ledger.ended + 100)
            os.unlink(filler)
            load.reached(load.ledger.ended + 50)
