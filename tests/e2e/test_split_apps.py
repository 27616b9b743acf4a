"""Full-custom apps of a node that is split: reached through every gateway, whichever process dies."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from shoal.client.control import ControlClient
from shoal.core import keys
from shoal.core.access import Grant, KeyRecord
from shoal.core.settings.keys_file import add_key
from shoal.testing.node import RunningNode, serve
from support.processes import children
from support.split import Parts
from support.walking import deploy, push, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

SPLIT = ["--gateways", "2", "--proxies", "2"]
MODEL = """\
class Echo:
    def predict_all(self, inputs: list[str]) -> list[str]:
        return inputs
"""
APP = """\
import json
import os


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    told = {"pid": os.getpid(), "said": "first", "headers": [name.decode() for name, _ in scope["headers"]]}
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
"""
FILES = {"model.py": MODEL, "web.py": APP, "model.yaml": "implementation: model:Echo\ntrust: code\napp: web:app\n"}


class Asked:
    """An app, asked over a new connection each time."""

    def __init__(self, node: RunningNode, key: str = "") -> None:
        self.parts = Parts(node)
        self._url = f"{node.url}/models/page/app/about"
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self.statuses: Counter[int] = Counter()

    def answer(self) -> dict[str, object]:
        """What it says; nothing if it is not there."""
        got = requests.get(self._url, headers=self._headers, timeout=10)
        self.statuses[got.status_code] += 1
        return dict(got.json()) if got.status_code == 200 else {}

    def pid(self) -> int:
        """The process that answers; 0 if none does."""
        return int(str(self.answer().get("pid", 0)))

    def at(self) -> str:
        """The proxy whose process answers, once one does."""
        found: list[str] = []
        until(lambda: bool(found.append(self.proxy()) or found[-1]))
        return found[-1]

    def proxy(self) -> str:
        """Whose process answers; "" if none does, or its proxy has just died."""
        pid = self.pid()
        return next((name for name in ("proxy-1", "proxy-2") if pid in children(self.parts.pid(name))), "")

    @contextmanager
    def all_the_time(self) -> Iterator[Counter[int]]:
        """By somebody else as well, for as long as the block lasts; what that one was answered."""
        other, over = Asked.__new__(Asked), threading.Event()
        other.__dict__.update(self.__dict__, statuses=Counter())

        def run() -> None:
            while not over.is_set():
                other.answer()
                time.sleep(0.01)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield other.statuses
        finally:
            over.set()
            thread.join(20)
            assert not thread.is_alive(), "a request hangs"


def write(folder: Path) -> Path:
    (folder / "page").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / "page" / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> str:
    return keys.generate().text


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("apps") / "models")


@pytest.fixture(scope="module")
def node(key: str, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    file = tmp_path_factory.mktemp("keys") / "keys.yaml"
    grants = (Grant(("caller",), "default", "page"),)
    add_key(file, KeyRecord(id=keys.parse(key), name="app", sha256=keys.digest(key), grants=grants))
    variables = {"SHOAL_AUTH__KEYS_FILE": str(file), "SHOAL_API_KEY": ""}
    with serve(models, arguments=[*SPLIT, "--watch"], environment=variables) as running:
        yield running


@pytest.fixture
def asked(node: RunningNode, key: str) -> Asked:
    """Both proxies have it."""
    made = Asked(node, key)
    until(lambda: sum(map(listens, made.parts.folder.glob("proxies/*.apps/*"))) == 2)
    return made


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as trying:
        return trying.connect_ex(str(path)) == 0


def test_all_gateways_ask_the_same_process_and_show_it_nobodys_key(asked: Asked) -> None:
    answers = [asked.answer() for _ in range(20)]  # the kernel shares connections out among the gateways
    assert len({str(each["pid"]) for each in answers}) == 1
    assert not any("authorization" in str(each["headers"]) for each in answers)


def test_nobody_gets_to_it_without_a_key_nor_to_what_is_not_there(node: RunningNode, key: str, asked: Asked) -> None:
    assert requests.get(f"{node.url}/models/page/app/about", timeout=10).status_code == 401
    headers = {"authorization": f"Bearer {key}"}
    assert requests.get(f"{node.url}/models/nobody/app/", headers=headers, timeout=10).status_code == 404
    for path in asked.parts.folder.glob("proxies/*.apps/*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path.stat().st_uid == path.parent.stat().st_uid == os.geteuid()


def test_the_other_proxys_answers_while_it_or_its_proxy_is_dead(asked: Asked) -> None:
    first, at = asked.pid(), asked.at()
    with asked.all_the_time() as statuses:
        os.kill(first, signal.SIGKILL)
        until(lambda: asked.pid() not in (0, first))
        until(lambda: asked.proxy() == at)
        dead = asked.parts.pid(at)
        os.kill(dead, signal.SIGKILL)
        until(lambda: asked.proxy() not in ("", at))
        until(lambda: asked.parts.pid(at) not in (0, dead))
        until(lambda: asked.proxy() == at)
    assert set(statuses) <= {200, 502, 503}
    assert statuses.total() - statuses[200] <= 4, "only what was on its way to who was killed"


def test_a_gateway_that_is_started_again_finds_it_at_once(node: RunningNode, asked: Asked) -> None:
    for name in ("gateway-1", "gateway-2"):
        dead = asked.parts.pid(name)
        os.kill(dead, signal.SIGKILL)
        until(lambda name=name, dead=dead: asked.parts.pid(name) not in (0, dead))  # type: ignore[misc]
        until(lambda: answers_somehow(asked))


def answers_somehow(asked: Asked) -> bool:
    """Whether the app answers, through whichever gateway; one may have died with the connection."""
    try:
        return bool(asked.pid())
    except requests.ConnectionError:
        return False


def test_a_change_of_its_files_is_followed(models: Path, asked: Asked) -> None:
    (models / "page/web.py").write_text(APP.replace("first", "second"))
    until(lambda: {str(asked.answer().get("said")) for _ in range(4)} == {"second"})


def test_a_service_of_a_registry_has_its_app_and_a_new_version_its_own(tmp_path: Path) -> None:
    with serve(home=tmp_path / "home", arguments=SPLIT) as node, node.control() as control:
        asked = Asked(node)
        assert asked.answer() == {}
        deployed(control, APP)
        until(lambda: asked.answer().get("said") == "first")
        os.kill(asked.parts.pid(asked.at()), signal.SIGKILL)
        until(lambda: bool(asked.pid()))
        deployed(control, APP.replace("first", "second"), ref="2")
        until(lambda: asked.answer().get("said") == "second")
        control.delete_service("default", "page", "production")
        until(lambda: not asked.pid())
        assert set(asked.statuses) <= {200, 404, 502, 503}


def deployed(control: ControlClient, app: str, ref: str = "1") -> None:
    files = {name: (app if text is APP else text).encode() for name, text in FILES.items()}
    push(control, "page", {**files, "model.yaml": b"implementation: model:Echo\napp: web:app\n"})
    deploy(control, "page", ref=ref)
