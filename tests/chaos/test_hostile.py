"""Hostile archives, pickles, settings, code and addresses against a running node with its control: all are refused.

Nothing that any of them would run has run, nothing lies where it should not, and node and control are what they were.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.harness.campaign import campaign
from chaos.harness.sizes import PATIENCE
from shoal.client.control import ControlClient
from shoal.control.sources import SourcePolicy, parse_address
from shoal.core.errors import InternalError, ShoalError
from support.hostile_addresses import BAD
from support.hostile_archives import ONNX, corpus
from support.hostile_files import BOMBS, BYPASSES, CODE, PICKLES
from support.walking import push

pytestmark = [pytest.mark.process, pytest.mark.timeout(PATIENCE)]

NAMES = ("model.pkl", "model.joblib", "model.onnx", "model.pt", "model.safetensors", "model.skops")


def test_everything_hostile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused: Counter[str] = Counter()
    with campaign("hostile", home=tmp_path / "home", trust=False) as chaos:
        chaos.begin()
        with chaos.node.control() as control:
            for hostile in corpus():
                refused[send_archive(control, hostile.name, hostile.data)] += 1
            for files in pushes():
                refused[send_files(control, files)] += 1
            assert control.models().models == ()
        assert [path for path in (tmp_path / "home" / "tmp").rglob("*") if path.is_file()] == []
        chaos.figures |= {"archives": len(corpus()), "pushes": len(list(pushes())), "refused": dict(refused)}
    assert list(tmp_path.rglob("canary")) == [], "something was run"
    assert {path.name for path in tmp_path.iterdir()} <= {"home"}
    assert set(refused) <= {"invalid_input", "too_large", "permission_denied"}, refused


def pushes() -> Iterator[dict[str, bytes]]:
    """Files of versions, each of which must be refused where nobody may deploy code."""
    for data in (*PICKLES, *BYPASSES):
        yield from ({name: data} for name in NAMES)
    for bomb in BOMBS.values():
        yield {"model.onnx": ONNX, "model.yaml": bomb}
    yield {"model.py": CODE}
    yield {"model.yaml": b"implementation: os:system\n"}


def send_archive(control: ControlClient, name: str, data: bytes) -> str:
    """The code with which an archive is refused; "" if it is not."""
    return _refused(lambda: control.send_archive(name, io.BytesIO(data), len(data)))


def send_files(control: ControlClient, files: dict[str, bytes]) -> str:
    """The code with which a version of these files is refused; "" if it is not."""
    return _refused(lambda: push(control, "iris", files, trust="code"))


def _refused(action: Callable[[], object]) -> str:
    try:
        action()
    except InternalError:
        raise
    except ShoalError as error:
        return error.code
    return ""


def test_no_hostile_address_may_be_fetched() -> None:
    """Whatever it is taken for, what is left of it is refused by a policy that allows only one folder and one bucket."""
    policy = SourcePolicy(roots=("/allowed",), buckets=("s3://allowed",))
    accepted = []
    for address in BAD:
        try:
            policy.check(parse_address(address))
        except ShoalError:
            continue
        accepted.append(address)
    assert accepted == []
