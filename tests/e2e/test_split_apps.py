"""Full-custom apps of a node that is split: reached through every gateway, whichever process dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from shoal.core import keys
from shoal.core.access import Grant, KeyRecord
from shoal.core.settings.keys_file import add_key
from shoal.testing.node import RunningNode, serve
from support.apps import APP, FILES, Asked
from support.walking import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

SPLIT = ["--gateways", "2", "--proxies", "2"]


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
    until(lambda: all(said(path) for path in sockets(made)) and len(sockets(made)) == 2)
    return made


def sockets(asked: Asked) -> list[Path]:
    return list(asked.parts.folder.glob("proxies/*.apps/*"))


def said(path: Path) -> str:
    """What the process says that listens there; "" if none does."""
    with socket.socket(socket.AF_UNIX) as link, suppress(OSError, ValueError):
        link.settimeout(10)
        link.connect(str(path))
        link.sendall(b"GET /about HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        with link.makefile("rb") as answer:
            return str(json.loads(answer.read().rpartition(b"\r\n")[2])["said"])
    return ""


def test_all_gateways_ask_the_same_process_and_show_it_nobodys_key(asked: Asked) -> None:
    answers = [asked.answer() for _ in range(20)]  # the kernel shares connections out among the gateways
    assert len({str(each["pid"]) for each in answers}) == 1
    assert not any("authorization" in str(each["headers"]) for each in answers)


def test_nobody_gets_to_it_without_a_key_nor_to_what_is_not_there(node: RunningNode, key: str, asked: Asked) -> None:
    assert requests.get(f"{node.url}/models/page/app/about", timeout=10).status_code == 401
    headers = {"authorization": f"Bearer {key}"}
    assert requests.get(f"{node.url}/models/nobody/app/", headers=headers, timeout=10).status_code == 404
    for path in sockets(asked):
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
        before = statuses.copy()
        replaced = asked.parts.pid(at)
        os.kill(replaced, signal.SIGTERM)
        until(lambda: asked.parts.pid(at) not in (0, replaced))
        until(lambda: asked.proxy() == at)
        assert (statuses - before).keys() == {200}, "who is asked to end finishes what it has"
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
    until(lambda: [said(path) for path in sockets(asked)] == ["second"] * 2)  # each proxy looks by itself
    assert asked.answer()["said"] == "second"
