"""A registry and a node as a team uses them: push, stages, services, environments, rolling, scaling; and control dead."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.client.control import ControlClient
from shoal.core.catalogue import NamespaceChange
from shoal.core.errors import InvalidInput, NotFound, NotReady, PoisonInput
from shoal.core.registry import Policy
from shoal.core.service import Autoscaling, Cache
from shoal.testing.node import RunningNode, serve
from support.walking import Load, call, deploy, push, push_faults, push_oracle, ready, right, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    with serve() as running:
        yield running


@pytest.fixture
def control(node: RunningNode) -> Iterator[ControlClient]:
    with node.control() as client:
        yield client


def get(node: RunningNode, path: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{node.url}{path}", timeout=10) as answer:
        return dict(json.load(answer))


def test_a_model_that_is_pushed_answers_without_further_ado_and_follows_its_stage(
    node: RunningNode, control: ControlClient
) -> None:
    push_oracle(control, "plain")
    assert call(node, "plain", "a") == right("a", 1)
    push_oracle(control, "plain", nonce="2")
    until(lambda: call(node, "plain", "b") == right("b", 2, "2"))
    control.move_stage("default", "plain", "production", "1")
    until(lambda: call(node, "plain", "c") == right("c", 1), seconds=5)
    assert call(node, "plain", "d", version="2") == right("d", 2, "2"), "a caller may name a version"


def test_a_model_that_nobody_pushed_is_not_found_and_near_names_are_told(
    node: RunningNode, control: ControlClient
) -> None:
    push_oracle(control, "fraudulent")
    with node.client() as client, pytest.raises(NotFound) as told:
        client.predict_all("fraudulant", ["x"])
    assert "fraudulent" in told.value.hint


def test_the_same_service_in_two_environments_with_versions_of_their_own(
    node: RunningNode, control: ControlClient
) -> None:
    push_oracle(control, "twin")
    push_oracle(control, "twin", nonce="new")
    deploy(control, "twin", ref="1")
    deploy(control, "twin", environment="staging", ref="2", replicas=2)
    until(lambda: ready(control, "twin", 1) and ready(control, "twin+staging", 2, workers=2))
    assert call(node, "twin", "x") == right("x", 1)
    assert call(node, "twin+staging", "x") == right("x", 2, "new")
    control.promote("default", "twin", "staging", "production")
    until(lambda: ready(control, "twin", 2))
    assert call(node, "twin", "x") == right("x", 2, "new")


def test_a_stage_that_moves_under_load_costs_no_request(node: RunningNode, control: ControlClient) -> None:
    push_oracle(control, "moving")
    push_oracle(control, "moving")
    control.move_stage("default", "moving", "production", "1")
    deploy(control, "moving")
    until(lambda: ready(control, "moving", 1))

    async def main() -> Load:
        async with Load(node, "moving", {1, 2}) as load:
            for version in (2, 1, 2):
                move = asyncio.to_thread(control.move_stage, "default", "moving", "production", str(version))
                await move
                await asyncio.to_thread(until, lambda v=version: ready(control, "moving", v))
        return load

    load = asyncio.run(main())
    load.check(at_least=500)
    assert load.seen == {1, 2}


def test_scaling_by_hand_under_load_costs_no_request(node: RunningNode, control: ControlClient) -> None:
    push_oracle(control, "elastic")
    deploy(control, "elastic", ref="1", replicas=2)
    until(lambda: ready(control, "elastic", 1, workers=2))

    async def main() -> Load:
        async with Load(node, "elastic", {1}) as load:
            for workers in (6, 2):
                await asyncio.to_thread(control.scale, "default", "elastic", "production", workers)
                await asyncio.to_thread(until, lambda n=workers: workers_of(control, "elastic") == n)
        return load

    asyncio.run(main()).check(at_least=500)


def workers_of(control: ControlClient, address: str) -> int:
    found = [each for node in control.nodes() for each in node.services if each.address == address]
    return found[0].ready if found else -1


def test_a_version_that_does_not_load_stops_the_roll_and_the_old_one_goes_on(
    node: RunningNode, control: ControlClient
) -> None:
    push_oracle(control, "careful")
    control.move_stage("default", "careful", "production", "1")
    deploy(control, "careful")
    until(lambda: ready(control, "careful", 1))
    push(
        control, "careful", {"model.py": b"raise ValueError('not today')\n", "model.yaml": b"implementation: model:M\n"}
    )
    control.move_stage("default", "careful", "production", "2")
    until(lambda: "not today" in str(get(node, "/v2/models/careful/why")["why"]))
    assert call(node, "careful", "x") == right("x", 1)
    control.rollback("default", "careful", "production")
    until(lambda: "failure" not in get(node, "/v2/models/careful/why"))


def test_a_service_with_nothing_to_do_goes_away_and_its_next_request_is_held_until_it_is_back(
    node: RunningNode, control: ControlClient
) -> None:
    push_oracle(control, "sleepy")
    scaling = Autoscaling(min_replicas=0, max_replicas=2, idle_seconds=1.0)
    deploy(control, "sleepy", ref="1", autoscaling=scaling)
    assert call(node, "sleepy", "a") == right("a", 1)
    until(lambda: "not in memory" in str(get(node, "/v2/models/sleepy/why")["why"]), seconds=20)
    assert call(node, "sleepy", "b") == right("b", 1)


def test_a_prediction_cache_answers_without_the_model(node: RunningNode, control: ControlClient) -> None:
    push_oracle(control, "cached")
    deploy(control, "cached", ref="1", cache=Cache(seconds=60.0))
    until(lambda: ready(control, "cached", 1))
    for _ in range(5):
        assert call(node, "cached", "same") == right("same", 1)
    facts = get(node, "/v2/models/cached/why")
    assert facts["time"]["requests"] == 1  # type: ignore[index]


APP = b"""
from fastapi import FastAPI
from shoal.testing.faults import OracleModel

app = FastAPI()


@app.get("/hello")
def hello() -> dict[str, str]:
    return {"hello": "there"}
"""


def test_a_services_own_app_comes_and_goes_with_it(node: RunningNode, control: ControlClient) -> None:
    files = {"model.py": APP, "model.yaml": b"implementation: model:OracleModel\napp: model:app\n"}
    push(control, "custom", files)
    deploy(control, "custom", ref="1")
    until(lambda: ready(control, "custom", 1))
    until(lambda: answers(node, "/models/custom/app/hello"))
    control.delete_service("default", "custom", "production")
    until(lambda: not answers(node, "/models/custom/app/hello"))


def answers(node: RunningNode, path: str) -> bool:
    try:
        get(node, path)
    except urllib.error.HTTPError:
        return False
    return True


REACHING = b"""
import socket

class Reaching:
    def predict_all(self, inputs):
        try:
            socket.socket().close()
        except OSError:
            return ["denied" for _ in inputs]
        return ["reached" for _ in inputs]
"""


def test_a_service_gives_the_network_and_a_policy_takes_it(node: RunningNode, control: ControlClient) -> None:
    push(control, "reaching", {"model.py": REACHING})
    deploy(control, "reaching", ref="1")
    assert call(node, "reaching", "x") == "denied"
    deploy(control, "reaching", ref="1", network=True)
    until(lambda: call(node, "reaching", "x") == "reached")
    control.put_namespace("default", NamespaceChange(policy=Policy(allow_network=False)))
    until(lambda: call(node, "reaching", "x") == "denied")
    with pytest.raises(InvalidInput, match="lets no worker use the network"):
        deploy(control, "reaching", ref="1", network=True)
    control.put_namespace("default", NamespaceChange(policy=Policy()))
    control.delete_service("default", "reaching", "production")


def test_what_is_undeployed_is_gone(node: RunningNode, control: ControlClient) -> None:
    push_oracle(control, "going")
    deploy(control, "leaving", "going", ref="1")
    assert call(node, "leaving", "x") == right("x", 1)
    control.delete_service("default", "leaving", "production")
    until(lambda: not ready(control, "leaving"))

    def gone() -> bool:
        with node.client() as client:
            try:
                client.predict_all("leaving", ["x"])
            except NotFound:
                return True
            except NotReady:
                return False
        return False

    until(gone)


def test_a_model_that_crashes_in_a_shared_worker_hurts_nobody_else(node: RunningNode, control: ControlClient) -> None:
    push_faults(control, "crasher")
    push_oracle(control, "neighbour")
    call(node, "crasher", "hello")

    async def main() -> Load:
        async with Load(node, "neighbour", {1}, callers=8) as load:
            for number in range(3):
                with node.client() as client, pytest.raises(PoisonInput):
                    await asyncio.to_thread(client.predict_all, "crasher", [f"segv:{number}"], timeout=30.0)
        return load

    asyncio.run(main()).check(at_least=50)


def test_serving_goes_on_and_starts_again_with_control_dead(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serve(home=home) as first:
        with first.control() as control:
            push_oracle(control, "steady")
            push_oracle(control, "called")
            deploy(control, "steady", ref="1")
            until(lambda: ready(control, "steady", 1))
            call(first, "called", "x")
        pid = json.loads((home / "control.json").read_text())["pid"]
        os.kill(pid, signal.SIGKILL)
        assert call(first, "steady", "a") == right("a", 1)
        assert call(first, "called", "b") == right("b", 1)
        until(lambda: json.loads((home / "control.json").read_text())["pid"] != pid, seconds=30)
        with first.control() as control:
            push_oracle(control, "called", nonce="2")
            until(lambda: call(first, "called", "c") == right("c", 2, "2"))
    arguments = ["--control", "http://127.0.0.1:9"]
    with serve(home=home, arguments=arguments) as second:
        assert call(second, "steady", "d") == right("d", 1), "from what is on disk"
        assert call(second, "called", "e") == right("e", 2, "2")
