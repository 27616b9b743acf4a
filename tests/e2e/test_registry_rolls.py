"""Versions, stages, services and keys that change while callers call: no request fails, and what is wrong changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.client.control import ControlClient
from shoal.control import signing
from shoal.core.catalogue import NamespaceChange
from shoal.core.registry import FileEntry, Manifest, NewVersion, Policy, Version
from shoal.testing.node import RunningNode, serve
from support.trouble import Answer, ask, predict, why
from support.walking import ORACLE, Load, call, deploy, push, push_oracle, ready, right, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

SERVICE = "name: {name}\nmodel: filed\nversion: 1\nplacement: shared\ntags: {{number: '{number}'}}\n"
BAD = [
    ("name: {name}\nmodel: filed\nreplicas: many\n", "replicas"),
    ("name: {name}\nmodel: no-such-model\n", "no-such-model"),
    ("name: {name}\nmodel: fil", "fil"),
    ("name: {name}\nmodel: filed\nversion: 9\n", "9"),
    ("name: {name}\nmodel: filed\nreplicas: [1\n", "expected"),
    ("name: {name}\nmodel: filed\nreplica: 1\n", "did you mean `replicas`"),
    ("a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b, *b, *b]\n", "no such field"),
    ("name: !!python/object/apply:os.abort []\n", "not allowed"),
    ("", "must hold fields"),
]
"""Edits of a service file, and part of what is told of each."""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="module")
def node(services: Path) -> Iterator[RunningNode]:
    with serve(environment={"SHOAL_CONTROL_SERVICES": str(services)}) as running:
        yield running


@pytest.fixture
def control(node: RunningNode) -> Iterator[ControlClient]:
    with node.control() as client:
        yield client


def staged(control: ControlClient, name: str, versions: int = 2) -> None:
    """A service that follows a stage, which is at the first of some versions."""
    for _ in range(versions):
        push_oracle(control, name)
    control.move_stage("default", name, "production", "1")
    deploy(control, name)
    until(lambda: ready(control, name, 1))


def test_a_rollback_under_load_costs_no_request_and_ends_at_the_version_before(
    node: RunningNode, control: ControlClient
) -> None:
    staged(control, "regretted")

    async def main() -> Load:
        async with Load(node, "regretted", {1, 2}, callers=8) as load:
            await asyncio.to_thread(control.move_stage, "default", "regretted", "production", "2")
            await asyncio.to_thread(until, lambda: ready(control, "regretted", 2))
            moved = await asyncio.to_thread(control.rollback, "default", "regretted", "production")
            assert (moved.version, moved.previous) == (1, 2)
            await asyncio.to_thread(until, lambda: ready(control, "regretted", 1))
        return load

    load = asyncio.run(main())
    load.check(at_least=100)
    assert load.seen == {1, 2}
    assert call(node, "regretted", "after") == right("after", 1)
    path = f"{node.control_url}/v1/models/default/regretted/stages/production/rollback"
    told = ask(path, "POST", {"expected": 2})
    told.told(409, "conflict", "production", "1", "2")
    told.hinted("look again")


def written(services: Path, name: str, number: int) -> Path:
    """A file of a service."""
    file = services / f"{name}.yaml"
    file.write_text(SERVICE.format(name=name, number=number))
    return file


def number_of(control: ControlClient, name: str) -> str:
    found = control.services(search=name).services
    return found[0].service.tags["number"] if found else ""


def test_bad_edits_of_service_files_change_nothing_and_are_told(
    node: RunningNode, control: ControlClient, services: Path
) -> None:
    push_oracle(control, "filed")
    names = [f"bad-edit-{number}" for number in range(len(BAD))]
    files = [written(services, name, 0) for name in names]
    until(lambda: all(number_of(control, name) == "0" for name in names))

    async def main() -> None:
        loads = [Load(node, name, {1}, callers=1) for name in names]
        async with contextlib.AsyncExitStack() as stack:
            for load in loads:
                await stack.enter_async_context(load)
            for file, name, (text, _) in zip(files, names, BAD, strict=True):
                file.write_text(text.replace("{name}", name))
            written(services, "good-edit", 1)
            await asyncio.to_thread(until, lambda: number_of(control, "good-edit") == "1")
            assert [number_of(control, name) for name in names] == ["0"] * len(names)
            enough = [load.answered + 5 for load in loads]
            await asyncio.to_thread(
                until, lambda: all(load.answered > n for load, n in zip(loads, enough, strict=True))
            )
        for load in loads:
            load.check()

    asyncio.run(main())
    told = [line for line in node.log().splitlines() if "bad-edit" in line]
    assert [
        word
        for number, (_, word) in enumerate(BAD)
        if not any(f"bad-edit-{number}" in line and word in line for line in told)
    ] == []


def test_a_hundred_edits_in_a_second_end_with_the_last(
    node: RunningNode, control: ControlClient, services: Path
) -> None:
    push_oracle(control, "filed")
    file = written(services, "edited", 0)
    until(lambda: number_of(control, "edited") == "0")

    async def main() -> Load:
        async with Load(node, "edited", {1}, callers=4) as load:
            for number in range(100):
                written(services, "edited", number)
                if number % 2 == 0:
                    file.write_bytes(file.read_bytes()[:30])
                await asyncio.sleep(0.01)
            await asyncio.to_thread(until, lambda: number_of(control, "edited") == "99")
        return load

    asyncio.run(main()).check(at_least=50)


# Signatures


def push_signed(control: ControlClient, namespace: str, key: Path, code: bytes) -> Version:
    files = {"model.py": code, "model.yaml": b"implementation: model:OracleModel\n"}
    entries = []
    for path, data in files.items():
        digest = hashlib.sha256(data).hexdigest()
        control.upload(digest, io.BytesIO(data), len(data))
        entries.append(FileEntry(path, len(data), digest))
    manifest = Manifest(tuple(entries))
    signature = signing.sign(manifest, key) if key else ""
    return control.register(NewVersion(namespace=namespace, model="sealed", manifest=manifest, signature=signature))


def test_signatures_are_asked_for_at_the_stage_and_at_the_load(
    node: RunningNode, control: ControlClient, tmp_path: Path
) -> None:
    ours, others = signing.new_key(tmp_path / "ours.pem"), signing.new_key(tmp_path / "others.pem")
    policy = Policy(signed_stages=("production",), trusted_keys=(ours,))
    control.put_namespace("strict", NamespaceChange(policy=policy))
    stage = f"{node.control_url}/v1/models/strict/sealed/stages/production"

    push(
        control,
        "sealed",
        {"model.py": ORACLE, "model.yaml": b"implementation: model:OracleModel\n"},
        namespace="strict",
    )
    ask(stage, "PUT", {"ref": "1"}).told(403, "permission_denied", "signature")
    predict(node, "sealed@strict").told(503, "not_ready", "sealed@strict", "production")

    signed = push_signed(control, "strict", tmp_path / "ours.pem", ORACLE + b"# signed\n")
    control.move_stage("strict", "sealed", "production", str(signed.version))
    assert call(node, "sealed@strict", "a") == right("a", signed.version)
    ask(f"{node.control_url}/v1/models/strict/sealed/versions", "POST", forged(control, tmp_path / "others.pem")).told(
        403, "permission_denied", "trusted"
    )

    control.put_namespace(
        "strict", NamespaceChange(policy=Policy(signed_stages=("production",), trusted_keys=(others,)))
    )
    until(lambda: loaded_again(node).status == 503)
    loaded_again(node).told(503, "not_ready", "sealed@strict", "not trusted here")
    assert "not trusted here" in why(node, "sealed@strict")
    control.put_namespace("strict", NamespaceChange(policy=policy))
    assert call(node, "sealed@strict", "b") == right("b", signed.version)


def loaded_again(node: RunningNode) -> Answer:
    """Let go of the model, then ask for it."""
    assert ask(f"{node.url}/v2/repository/models/sealed@strict/unload", "POST", {}).status == 200
    return predict(node, "sealed@strict")


def forged(control: ControlClient, key: Path) -> dict[str, object]:
    """A version that somebody else has signed."""
    data = b"\x08\x07forged"
    digest = hashlib.sha256(data).hexdigest()
    control.upload(digest, io.BytesIO(data), len(data))
    manifest = Manifest((FileEntry("model.onnx", len(data), digest),))
    files = [{"path": "model.onnx", "size": len(data), "sha256": digest}]
    return {
        "namespace": "strict",
        "model": "sealed",
        "manifest": {"files": files},
        "signature": signing.sign(manifest, key),
    }
