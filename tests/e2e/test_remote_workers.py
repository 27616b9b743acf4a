"""Workers on hosts of their own: any one of them may be lost, added or taken out while requests go on."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from shoal.client import AsyncClient
from shoal.client.control import ControlClient
from support.certificates import Certificates
from support.controls import clean, control_process
from support.processes import workers
from support.split import WHO, until
from support.walking import deploy, push_oracle, ready, right
from support.walking import until as wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

PATIENCE = 60.0


class Part:
    """A process of the node."""

    def __init__(self, *words: str | Path) -> None:
        reader, writer = os.pipe()
        command = [sys.executable, "-m", "shoal", *map(str, words), "--ready-fd", str(writer)]
        self.process = subprocess.Popen(command, pass_fds=[writer], env=clean({}), stdout=subprocess.DEVNULL)
        self._reader = reader
        os.close(writer)
        self.url = ""

    def ready(self) -> Part:
        readable, _, _ = select.select([self._reader], [], [], PATIENCE)
        line = os.read(self._reader, 65536) if readable else b""
        assert line, "it is not ready"
        self.url = str(json.loads(line)["url"])
        return self

    def pids(self) -> set[int]:
        """Of its workers."""
        return set(workers(self.process.pid))

    def close(self) -> None:
        os.close(self._reader)
        self.process.kill()
        self.process.wait()


class Load:
    """Requests that go on and on, thirty-two at a time; each answer says which worker has given it."""

    def __init__(self, url: str) -> None:
        self.pids: set[int] = set()
        self.failures: list[object] = []
        self.answered = 0
        self._url = url
        self._stopping = False

    async def __aenter__(self) -> Load:
        self._client = await AsyncClient(self._url, retries=0).__aenter__()
        self._callers = [asyncio.create_task(self._call(each)) for each in range(32)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        await asyncio.gather(*self._callers)
        await self._client.__aexit__(None, None, None)

    async def _call(self, number: int) -> None:
        while not self._stopping:
            try:
                (answer,) = await self._client.predict_all("who", [f"{number} slow0.005"])
            except Exception as error:
                self.failures.append(error)
                await asyncio.sleep(0.05)
                continue
            pid, _, text = answer.partition(":")
            if text != f"{number} slow0.005":
                self.failures.append(answer)
            self.pids.add(int(pid))
            self.answered += 1

    async def more(self, count: int = 100) -> None:
        wanted = self.answered + count
        await until(lambda: self.answered >= wanted or bool(self.failures))


@pytest.fixture
def parts() -> Iterator[list[Part]]:
    started: list[Part] = []
    yield started
    for part in started:
        part.close()


def who(folder: Path) -> Path:
    (folder / "who").mkdir(parents=True)
    (folder / "who/model.py").write_text(WHO)
    return folder


def test_hosts_are_lost_added_and_taken_out_and_no_request_fails(tmp_path: Path, parts: list[Part]) -> None:
    models, hosts, proxies = who(tmp_path / "models"), tmp_path / "hosts", tmp_path / "proxies"

    def host(name: str) -> Part:
        words = ("worker", models, "--trust", "--listen", f"unix:{hosts / name}.sock", "--name", name)
        parts.append(Part(*words, "--home", tmp_path / name))
        return parts[-1]

    one, two = host("one"), host("two")
    place = f"unix:{proxies}/one.sock"
    words = ("proxy", models, "--trust", "--listen", place, "--workers-at", hosts, "--home", tmp_path / "proxy")
    parts.append(proxy := Part(*words))
    parts.append(gateway := Part("gateway", "--proxies-at", proxies, "--port", "0", "--home", tmp_path / "gateway"))
    for part in (one, two, proxy, gateway):
        part.ready()

    async def main() -> None:
        async with Load(gateway.url) as load:
            await until(lambda: load.pids >= one.pids() | two.pids())
            assert not proxy.pids()
            one.process.kill()
            await load.more()
            load.pids.clear()
            three = host("three")
            await asyncio.to_thread(three.ready)
            await until(lambda: bool(load.pids & three.pids()))
            two.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(two.process.wait, 30) == 0
            load.pids.clear()
            await load.more()
            assert load.pids <= three.pids()
            # Its worker dies, and not the host: the ones who come after wait for the next one.
            os.kill(min(three.pids()), signal.SIGKILL)
            await load.more()
        assert not load.failures, load.failures[:3]

    asyncio.run(main())
    proxy.process.send_signal(signal.SIGTERM)
    assert proxy.process.wait(30) == 0


def test_hosts_on_other_machines_show_certificates_and_are_read_from_a_file(tmp_path: Path, parts: list[Part]) -> None:
    models, certificates = who(tmp_path / "models"), Certificates(tmp_path)
    cert, key = certificates.issue("peer")
    settings = tmp_path / "shoal.yaml"
    settings.write_text(f"peers: {{cert: {cert}, key: {key}, authority: {certificates.ca}}}\n")
    directory = tmp_path / "hosts.txt"
    directory.write_text("")
    operations = f"127.0.0.1:{free_port()}"

    def host(name: str) -> Part:
        words = ("worker", models, "--trust", "--listen", "localhost:0", "--config", settings, "--name", name)
        more = ("--operations", operations) if name == "one" else ()
        parts.append(Part(*words, *more, "--home", tmp_path / name))
        return parts[-1].ready()

    one = host("one")
    assert requests.get(f"http://{operations}/v2/health/ready", timeout=10).json() == {"ready": True}
    directory.write_text(f"{one.url}\n")
    place = f"unix:{tmp_path}/proxies/one.sock"
    words = ("proxy", models, "--trust", "--listen", place, "--workers-directory", directory, "--config", settings)
    parts.append(proxy := Part(*words, "--home", tmp_path / "proxy").ready())
    gateway = Part("gateway", "--proxies-at", tmp_path / "proxies", "--port", "0", "--home", tmp_path / "gateway")
    parts.append(gateway.ready())
    answer = requests.post(f"{gateway.url}/v2/models/who/predict_all", json={"inputs": ["a"]}, timeout=10).json()
    assert int(answer["outputs"][0].partition(":")[0]) in one.pids()
    two = host("two")
    directory.write_text(f"{one.url}\n{two.url}\n")

    async def main() -> None:
        async with Load(gateway.url) as load:
            await until(lambda: load.pids >= one.pids() | two.pids())
            directory.write_text(f"{two.url}\n")
            quiet = 0
            while quiet < 3:  # it is read again within a second, and what was sent before is finished
                load.pids.clear()
                await load.more()
                quiet = 0 if load.pids & one.pids() else quiet + 1
        assert not load.failures, load.failures[:3]

    asyncio.run(main())
    assert proxy.process.poll() is None
    assert (
        'shoal_host_workers{model="who",version=""} 1' in requests.get(f"http://{operations}/metrics", timeout=10).text
    )
    assert requests.post(f"http://{operations}/v2/models/who/infer", timeout=10).status_code == 404


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_a_registrys_models_run_at_hosts_roll_there_and_come_back_while_control_is_away(
    tmp_path: Path, parts: list[Part]
) -> None:
    hosts, proxies, home = tmp_path / "hosts", tmp_path / "proxies", tmp_path / "home"

    def host(name: str) -> Part:
        words = ("worker", "--listen", f"unix:{hosts / name}.sock", "--name", name, "--control", control.url)
        parts.append(Part(*words, "--home", home))
        return parts[-1]

    with control_process(tmp_path / "control", "--trust") as control, ControlClient(control.url) as client:
        one, two = host("one"), host("two")
        place = f"unix:{proxies}/one.sock"
        words = ("proxy", "--listen", place, "--workers-at", hosts, "--control", control.url, "--name", "p")
        parts.append(proxy := Part(*words, "--home", home))
        words = ("gateway", "--registry", "--proxies-at", proxies, "--port", "0", "--control", control.url)
        parts.append(gateway := Part(*words, "--home", home))
        for part in (one, two, proxy, gateway):
            part.ready()

        def answer(model: str) -> str:
            url = f"{gateway.url}/v2/models/{model}/predict_all"
            told = requests.post(url, json={"inputs": ["x"]}, timeout=30).json()
            return str(told.get("outputs", [told.get("error")])[0])

        for name in ("service", "called"):
            push_oracle(client, name, nonce="a")
        client.move_stage("default", "service", "production", "1")
        deploy(client, "service", replicas=3)
        wait_until(lambda: ready(client, "service", 1, workers=4))  # two at each of the hosts
        assert answer("service") == right("x", 1, "a")
        assert answer("called") == right("x", 1, "a")
        assert not proxy.pids()
        push_oracle(client, "service", nonce="b")
        client.move_stage("default", "service", "production", "2")
        wait_until(lambda: answer("service") == right("x", 2, "b"))
        url = f"{gateway.url}/v2/models/service/versions/1/predict_all"
        assert requests.post(url, json={"inputs": ["x"]}, timeout=30).json()["outputs"] == [right("x", 1, "a")]
        control.process.kill()
        control.process.wait()
        for lost in (one, two):
            lost.process.kill()
        host("one").ready()
        wait_until(lambda: answer("service") == right("x", 2, "b"))
        wait_until(lambda: answer("called") == right("x", 1, "a"))
