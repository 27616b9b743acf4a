"""A node split over processes: any one of them may be lost, and nobody who asks is told of it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
import trustme

from shoal.client import AsyncClient, Client
from shoal.client.control import ControlClient
from shoal.core.scratch import Scratch
from shoal.testing.node import RunningNode, serve
from support.controls import clean, control_process
from support.split import WHO, Parts, Steady, role, until
from support.trouble import metric
from support.walking import call, deploy, push_oracle, ready, right
from support.walking import until as wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

SPLIT = ["--gateways", "2", "--proxies", "2"]


def who(folder: Path, workers: int = 1) -> Path:
    (folder / "who").mkdir(parents=True)
    (folder / "who/model.py").write_text(WHO)
    (folder / "who/model.yaml").write_text(f"limits: {{workers: {workers}}}\n")
    return folder


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Goes on, whatever of it is killed."""
    with serve(who(tmp_path_factory.mktemp("split") / "models", workers=2), arguments=SPLIT) as running:
        yield running


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    """Is to end."""
    with serve(who(tmp_path / "models"), arguments=["--gateways", "2"]) as running:
        yield running


@pytest.fixture
def short_folder() -> Iterator[str]:
    """Where sockets can be, whose paths may not be long."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        yield folder


def owner(node: RunningNode, parts: Parts) -> str:
    """The proxy that answers for the model."""
    with node.client() as client:
        pid = int(client.predict_all("who", ["x"])[0].partition(":")[0])
    return next(name for name in ("proxy-1", "proxy-2") if pid in parts.workers(name))


def test_both_protocols_reach_the_models_through_any_gateway(lasting: RunningNode) -> None:
    parts = Parts(lasting)
    at = owner(lasting, parts)
    for protocol in ("rest", "grpc"):
        for _ in range(6):  # the kernel shares connections out among the gateways
            with lasting.client(protocol) as client:
                (answer,) = client.predict_all("who", ["x"])
                assert int(answer.partition(":")[0]) in parts.workers(at)
    assert requests.get(f"{lasting.url}/v2/health/ready", timeout=10).json() == {"ready": True}
    assert requests.get(f"{lasting.url}/v2/models/who", timeout=10).json()["name"] == "who"
    assert (
        requests.post(f"{lasting.url}/v2/models/nobody/predict_all", json={"inputs": [""]}, timeout=10).status_code
        == 404
    )
    text = requests.get(f"{lasting.url}/metrics", timeout=10).text
    for name in ("gateway-1", "gateway-2", "proxy-1", "proxy-2"):
        assert f'shoal_process_up{{process="{name}"}} 1.0' in text
    assert f'shoal_requests_total{{process="{at}",model="who"' in text


def test_nobody_else_can_reach_what_is_between_the_processes(lasting: RunningNode) -> None:
    folder = Parts(lasting).folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    sockets = [path for path in folder.rglob("*") if path.is_socket()]
    assert {path.name for path in sockets} >= {"proxy-1.sock", "proxy-2.sock", "gateway-1.sock"}
    for path in [*sockets, *folder.glob("*.json")]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, path


def test_one_after_the_other_is_killed_and_no_request_fails(lasting: RunningNode) -> None:
    parts = Parts(lasting)
    at = owner(lasting, parts)

    async def main() -> None:
        async with Steady(lasting, "who") as load:
            await load.more()
            # A worker: the other one answers, and the one that takes its place gets requests without anyone's doing.
            before = set(parts.workers(at))
            os.kill(min(before), signal.SIGKILL)
            load.pids.clear()
            await until(lambda: bool(load.pids - before))
            # Its proxy: the other one has the model as well.
            before = set(parts.workers(at))
            dead = parts.pid(at)
            os.kill(dead, signal.SIGKILL)
            load.pids.clear()
            await until(lambda: bool(load.pids - before))
            await until(lambda: bool(load.pids & set(parts.workers(at))))
            assert not load.broken + load.stale
            # A gateway: who was connected to it connects to another.
            dead = parts.pid("gateway-1")
            os.kill(dead, signal.SIGKILL)
            await load.more()
            await until(lambda: parts.pid("gateway-1") not in (0, dead))
            await load.more()
            assert load.broken + load.stale <= 8
            # Each of them, asked to end: it finishes what it has, and nobody is sent there any more.
            load.broken = 0
            await asyncio.to_thread(wait_until, lambda: metric(lasting, "shoal_process_up") == 4)
            for name in ("gateway-2", at):
                asked = parts.pid(name)
                os.kill(asked, signal.SIGTERM)
                await until(lambda name=name, asked=asked: parts.pid(name) not in (0, asked))  # type: ignore[misc]
                await load.more()
            assert not load.broken
        assert not load.failures, load.failures[:3]

    asyncio.run(main())


def test_what_was_sent_when_all_are_stopped_is_finished(node: RunningNode) -> None:
    everything = Parts(node).all()

    async def main() -> list[str]:
        async with Steady(node, "who") as load, AsyncClient(node.url, retries=0) as client:
            await load.more()
            asked = [asyncio.create_task(client.predict_all("who", [f"{each} slow0.5"])) for each in range(6)]
            await asyncio.sleep(0.2)
            load.stopping = True
            node.process.send_signal(signal.SIGTERM)
            answers = await asyncio.gather(*asked)
            await until(lambda: node.process.poll() is not None)
        assert not load.failures, load.failures[:3]
        return [answer.partition(":")[2] for (answer,) in answers]

    assert asyncio.run(main()) == [f"{each} slow0.5" for each in range(6)]
    assert node.process.wait(20) == 0, node.log()
    assert not alive(everything)


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_a_second_signal_is_final_and_leaves_nobody_behind(node: RunningNode) -> None:
    everything = Parts(node).all()
    with node.client() as client, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.predict_all, "who", ["slow20"])
        wait_until(lambda: metric(node, "shoal_hop_in_flight") > 0)
        node.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping" in node.log())
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(10) == 128 + signal.SIGTERM
        assert asked.exception(30) is not None
    wait_until(lambda: not alive(everything))


def test_the_death_of_the_process_above_leaves_nobody_behind(node: RunningNode) -> None:
    everything = Parts(node).all()
    assert len(everything) == 4  # two gateways, a proxy, its worker
    node.process.kill()
    wait_until(lambda: not alive(everything))


def test_what_a_killed_node_left_in_the_place_for_temporary_files_goes_with_the_next_start(
    tmp_path: Path, short_folder: str
) -> None:
    models, place = who(tmp_path / "models"), Path(short_folder)
    arguments, environment = ["--gateways", "1"], {"TMPDIR": str(place)}

    def folders() -> set[str]:
        return {path.name for path in place.glob("shoal-*") if path.name != "shoal-users"}

    with serve(models, arguments=arguments, environment=environment) as killed:
        left, everything = folders(), Parts(killed).all()
        assert {name.rpartition("-")[0] for name in left} == {"shoal-run", "shoal-workers"}
        killed.process.kill()
        wait_until(lambda: not alive(everything))
        assert folders() == left
        with serve(models, arguments=arguments, environment=environment):
            living = folders()
            assert len(living) == 2
            assert not living & left
            for kind in ("shoal-run-", "shoal-workers-"):
                Scratch(kind, root=place).close()  # as the next node does
            assert folders() == living, "what a living node has stays"
    assert not folders()


def test_what_is_cut_off_after_the_grace_shows_in_the_exit_code(tmp_path: Path) -> None:
    settings = tmp_path / "shoal.yaml"
    settings.write_text("grace_seconds: 0.5\n")
    arguments = ["--proxies", "1", "--config", str(settings)]
    models = who(tmp_path / "models")
    with serve(models, arguments=arguments) as node, node.client() as client, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.predict_all, "who", ["slow20"])
        wait_until(lambda: metric(node, "shoal_hop_in_flight") > 0)
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(20) == 1, node.log()
        assert asked.exception(30) is not None


def test_what_cannot_start_says_so_once_and_leaves_nobody_behind(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    command = [sys.executable, "-m", "shoal", "serve", str(tmp_path / "models"), "--port", "0", "--gateways", "2"]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean({}))
    assert seen.returncode == 2
    assert seen.stderr.count("\nshoal: nothing to serve") == 1
    assert "Traceback" not in seen.stderr


def test_what_is_to_run_runs_at_one_proxy_and_all_start_again_while_control_is_away(tmp_path: Path) -> None:
    names = ("one", "two", "three")
    with control_process(tmp_path / "control", "--trust") as control:
        arguments = [*SPLIT, "--control", control.url]
        with serve(home=tmp_path / "home", arguments=arguments) as node, ControlClient(control.url) as client:
            for name in (*names, "called"):
                push_oracle(client, name)
            for name in names:
                client.move_stage("default", name, "production", "1")
                deploy(client, name)
            wait_until(lambda: all(ready(client, name, 1) for name in names))
            told = [each for each in client.nodes() for each in each.services if each.state == "READY"]
            assert Counter(each.address for each in told) == dict.fromkeys(names, 1)
            assert call(node, "called", "x") == right("x", 1)
            parts = Parts(node)
            control.process.kill()
            control.process.wait()
            dead = {name: parts.pid(name) for name in ("proxy-1", "proxy-2", "gateway-1", "gateway-2")}
            for pid in dead.values():
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda: all(parts.pid(name) not in (0, pid) for name, pid in dead.items()))
            for model in (*names, "called"):
                assert answered(node, model, "b") == right("b", 1)


def test_parts_on_different_machines_show_each_other_certificates(tmp_path: Path) -> None:
    peers = tmp_path / "peers.yaml"
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    paths = {name: tmp_path / f"{name}.pem" for name in ("cert", "key", "authority")}
    certificate.cert_chain_pems[0].write_to_path(paths["cert"])
    certificate.private_key_pem.write_to_path(paths["key"])
    authority.cert_pem.write_to_path(paths["authority"])
    paths["key"].chmod(0o600)
    peers.write_text("peers: {" + ", ".join(f"{name}: {path}" for name, path in paths.items()) + "}\n")
    listed = tmp_path / "proxies.txt"
    models = who(tmp_path / "models")
    operations = f"127.0.0.1:{free_port()}"
    told = ["--trust", "--config", peers, "--home", tmp_path / "home"]
    with (
        role("proxy", models, "--listen", "127.0.0.1:0", "--name", "a", "--operations", operations, *told) as first,
        role("proxy", models, "--listen", "127.0.0.1:0", "--name", "b", *told) as second,
    ):
        listed.write_text(f"{first}\n")
        with role("gateway", "--directory", listed, "--port", "0", "--config", peers) as url, Client(url) as client:
            assert client.predict_all("who", ["x"])[0].endswith(":x")
            listed.write_text(f"{first}\n{second}\n")
            wait_until(lambda: gauge(url, "shoal_hop_usable_proxies") == 2)
            assert client.predict_all("who", ["y"])[0].endswith(":y")
        assert requests.get(f"http://{operations}/v2/health/ready", timeout=10).json() == {"ready": True}
        assert "shoal_hop_gateways" in requests.get(f"http://{operations}/metrics", timeout=10).text
        assert requests.post(f"http://{operations}/v2/models/who/infer", timeout=10).status_code == 404


def gauge(url: str, name: str) -> float:
    lines = requests.get(f"{url}/metrics", timeout=10).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def answered(node: RunningNode, model: str, text: str) -> str:
    """The answer, once somebody listens again."""
    answers: list[str] = []

    def asked() -> bool:
        try:
            answers.append(call(node, model, text))
        except OSError:
            return False
        return True

    wait_until(asked)
    return answers[-1]
