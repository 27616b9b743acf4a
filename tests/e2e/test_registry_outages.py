"""Control, store, disk and node that fail under load: who is served stays served, and what was acknowledged is there."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from shoal.client.control import ControlClient
from shoal.client.retry import Retries
from shoal.control.registry import open_registry
from shoal.core.errors import DeadlineExceeded, ShoalError, StorageFull, Unavailable
from shoal.testing.node import RunningNode, serve
from support.relay import Relay, relay
from support.s3 import s3_server
from support.trouble import ask, fill, predict, small_disk, why
from support.walking import Load, call, deploy, push, push_oracle, ready, right, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

NOWHERE = ["--control", "http://127.0.0.1:9"]


def control_pid(home: Path) -> int:
    return int(json.loads((home / "control.json").read_text())["pid"])


def kill_control(home: Path) -> None:
    """Kill the node's control, and wait until another one is there."""
    pid = control_pid(home)
    os.kill(pid, signal.SIGKILL)
    until(lambda: control_pid(home) != pid)


def test_a_node_killed_under_load_starts_from_its_disk_with_control_dead(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serve(home=home) as first:
        with first.control() as control:
            for name in ("steady", "called"):
                push_oracle(control, name)
            control.move_stage("default", "steady", "production", "1")
            deploy(control, "steady")
            until(lambda: ready(control, "steady", 1))
            push_oracle(control, "steady")
            control.move_stage("default", "steady", "production", "2")
            until(lambda: ready(control, "steady", 2))
            call(first, "called", "x")

        async def main() -> Load:
            async with Load(first, "steady", {2}, callers=4) as load:
                await asyncio.to_thread(until, lambda: load.answered > 100)
                first.process.kill()
                await asyncio.to_thread(until, lambda: bool(load.failures))
            return load

        load = asyncio.run(main())
        assert not load.wrong
        with suppress(ProcessLookupError, FileNotFoundError):
            os.kill(control_pid(home), signal.SIGKILL)
    with serve(home=home, arguments=NOWHERE) as second:
        assert call(second, "steady", "a") == right("a", 2)
        assert call(second, "called", "b") == right("b", 1)
        told = predict(second, "never-called")
        told.told(503, "unavailable", "control")
        told.hinted("shoal control")


class Mover:
    """Moves a stage and deploys, again and again, against a control that is killed; knows what was acknowledged."""

    def __init__(self, node: RunningNode, home: Path) -> None:
        self._node = node
        self._home = home
        self.acknowledged: list[int] = []
        self.asked: list[int] = []
        self.deployed = 0
        self.refused: list[ShoalError] = []
        self.over = threading.Event()

    def run(self) -> None:
        dice = random.Random()
        while not self.over.is_set():
            version = dice.choice([each for each in (1, 2, 3) if [each] != self.asked[-1:]])
            self.asked.append(version)
            with self._client() as client:
                try:
                    client.move_stage("default", "shaken", "production", str(version))
                    self.acknowledged.append(version)
                    deploy(client, "side", "shaken", ref="1", placement="shared", tags={"n": str(len(self.asked))})
                    self.deployed = len(self.asked)
                except Unavailable as error:
                    self.refused.append(error)
                    time.sleep(0.02)
                    self.asked.append(version)

    def _client(self) -> ControlClient:
        with suppress(OSError, ValueError, KeyError):
            url = json.loads((self._home / "control.json").read_text())["url"]
            return ControlClient(url, timeout=5.0, retries=Retries(attempts=0))
        return ControlClient(self._node.control_url, timeout=5.0, retries=Retries(attempts=0))


@pytest.mark.parametrize("kills", [2, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_control_killed_during_stage_moves_and_deploys_loses_nothing_acknowledged(tmp_path: Path, kills: int) -> None:
    home = tmp_path / "home"
    with serve(home=home) as node:
        with node.control() as control:
            for _ in range(3):
                push_oracle(control, "shaken")
            control.move_stage("default", "shaken", "production", "1")
            deploy(control, "shaken")
            until(lambda: ready(control, "shaken", 1))
        mover = Mover(node, home)

        async def main() -> Load:
            moving = threading.Thread(target=mover.run)
            async with Load(node, "shaken", {1, 2, 3}, callers=4) as load:
                moving.start()
                try:
                    for _ in range(kills):
                        await asyncio.sleep(random.uniform(0.1, 0.8))
                        await asyncio.to_thread(kill_control, home)
                finally:
                    mover.over.set()
                    await asyncio.to_thread(moving.join)
            return load

        asyncio.run(main()).check(at_least=200)
        assert mover.acknowledged
        assert all("control" in error.message and error.hint for error in mover.refused)
        with ControlClient(json.loads((home / "control.json").read_text())["url"]) as control:
            stage = control.model("default", "shaken").stages["production"]
            assert stage in (mover.acknowledged[-1], mover.asked[-1]), "the last acknowledged, or the one under way"
            assert int(control.service("default", "side", "production").service.tags["n"]) >= mover.deployed
            until(lambda: ready(control, "shaken", stage), seconds=60)
        assert call(node, "shaken", "after") == right("after", stage)
    with closing(open_registry(f"sqlite:///{home}/registry.db")) as registry:  # a control tells a page of it only
        history = registry.stage_history("default", "shaken", "production", limit=1_000_000)
    moves = [move.version for move in reversed(history)]
    assert is_within(mover.acknowledged, moves), "each acknowledged move is in the history, in order"


def is_within(some: list[int], every: list[int]) -> bool:
    """Whether these occur in that order among all; a move to where the stage is already leaves no line."""
    remaining = iter(every)
    last = 0
    for each in some:
        if each != last and each not in remaining:
            return False
        last = each
    return True


# The store


@contextmanager
def bucket_behind_a_relay() -> Iterator[tuple[str, Relay]]:
    """The URL of an empty store, and what stands before it."""
    with s3_server() as server, relay(server.host, server.port) as before:
        url = server.bucket()
        yield url.replace(f":{server.port}", f":{before.port}"), before


def test_a_store_that_is_down_or_slow_costs_only_what_is_not_here_yet(tmp_path: Path) -> None:
    with bucket_behind_a_relay() as (url, store):
        environment = {
            "SHOAL_CONTROL_ARTIFACTS": url,
            "SHOAL_ARTIFACTS": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        with serve(home=tmp_path / "home", environment=environment) as node, node.control() as control:
            for name in ("warm", "cold", "colder", "rolling", "slow"):
                push_oracle(control, name, nonce=name)
                if name in ("warm", "rolling"):
                    control.move_stage("default", name, "production", "1")  # a later push alone has nothing fetched
                    assert call(node, name, "a") == right("a", 1, name)
            push_oracle(control, "rolling", nonce="later")

            store.mode = "cut"
            assert call(node, "warm", "b") == right("b", 1, "warm")
            refused = predict(node, "cold")
            refused.told(503, "not_ready", "cold", "artifact store")
            refused.hinted("cached")
            once = ControlClient(node.control_url, retries=Retries(attempts=0))
            with once, pytest.raises(Unavailable, match="artifact store"):
                push_oracle(once, "nobody", nonce="new")
            deploy(control, "rolling")
            until(lambda: ready(control, "rolling", 1))
            control.move_stage("default", "rolling", "production", "2")
            until(lambda: "version 1 goes on" in why(node, "rolling"))
            assert call(node, "rolling", "c") == right("c", 1, "rolling")

            store.mode = "open"
            assert call(node, "cold", "d") == right("d", 1, "cold")
            until(lambda: ready(control, "rolling", 2))
            assert call(node, "rolling", "e") == right("e", 2, "later")

            store.mode = "stalled"
            with node.client() as client, pytest.raises(DeadlineExceeded):
                client.predict_all("colder", ["f"], timeout=1.0)
            assert call(node, "warm", "g") == right("g", 1, "warm")
            store.mode = "cut"
            store.mode = "slow"
            assert call(node, "slow", "h") == right("h", 1, "slow")
            assert call(node, "colder", "i") == right("i", 1, "colder")


# The disk


def test_a_full_disk_refuses_pushes_and_serving_goes_on(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "24m") as disk, serve(home=disk) as node, node.control() as control:
        push_oracle(control, "served")
        deploy(control, "served", ref="1")
        until(lambda: ready(control, "served", 1))
        push_oracle(control, "cold", nonce="cold")
        filler = fill(disk)

        async def main() -> Load:
            async with Load(node, "served", {1}, callers=4) as load:
                await asyncio.to_thread(refuses_pushes, node, control)
                enough = load.answered + 50
                await asyncio.to_thread(until, lambda: load.answered > enough)
            return load

        asyncio.run(main()).check()
        predict(node, "cold").told(503, "not_ready", "cold", "no room")
        filler.unlink()
        assert call(node, "cold", "a") == right("a", 1, "cold")
        version = push_oracle(control, "served", nonce="2")
        assert version.version == 2, "what was refused has taken no number"
        assert call(node, "served", "b", version="2") == right("b", 2, "2")


def refuses_pushes(node: RunningNode, control: ControlClient) -> None:
    for number in range(3):
        with pytest.raises(StorageFull) as told:
            push(control, "served", {"model.py": bytes(100_000) + bytes([number])})
        assert "room" in told.value.message
        assert told.value.hint
    data = b"x" * 200_000
    path = f"{node.control_url}/v1/blobs/{hashlib.sha256(data).hexdigest()}"
    ask(path, "PUT", data).told(507, "storage_full", "room")
