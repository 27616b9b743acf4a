"""What goes wrong with models between a push and an answer: each has an error of its own, and nobody else notices.

One node with a registry, two shared pools and the real control API is shared by all tests here; nothing is killed.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shoal.client.control import ControlClient
from shoal.core.catalogue import CollectRequest
from shoal.core.errors import Conflict, ShoalError
from shoal.core.registry import FileEntry, Manifest, NewVersion
from shoal.testing.faults import MEGABYTE
from shoal.testing.node import RunningNode, serve
from support.trouble import Answer, ask, metric, predict, why
from support.walking import ORACLE, Load, call, deploy, push, push_faults, push_oracle, ready, right, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

SETTINGS = """\
pools:
  shared: {workers: 2}
  small: {workers: 1, memory: 32Mi}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def node(home: Path) -> Iterator[RunningNode]:
    settings = home / "shoal.yaml"
    settings.write_text(SETTINGS)
    with serve(home=home, arguments=["--config", str(settings)]) as running:
        yield running


@pytest.fixture
def control(node: RunningNode) -> Iterator[ControlClient]:
    with node.control() as client:
        yield client


def fails(node: RunningNode, model: str) -> Answer:
    """The first refusal that tells of a failed load."""
    answers: list[Answer] = []

    def failed() -> bool:
        answers.append(predict(node, model))
        assert answers[-1].status != 200
        return "load" in answers[-1].body["error"] or "room" in answers[-1].body["error"]

    until(failed)
    return answers[-1]


# Unknown, empty, wrong


def test_versions_stages_and_models_that_are_not_there_are_told_with_what_is(
    node: RunningNode, control: ControlClient
) -> None:
    push_oracle(control, "known")
    models = f"{node.control_url}/v1/models/default"
    for ref in ("9", "candidate"):
        ask(f"{models}/known/stages/production", "PUT", {"ref": ref}).told(404, "not_found", "known", ref)
        ask(f"{models}/known/versions/{ref}").told(404, "not_found", "known", ref)
    ask(f"{models}/knwon/versions/1").told(404, "not_found", "knwon")
    predict(node, "known", version="9").told(404, "not_found", "known", "9")
    predict(node, "knwon").told(404, "not_found", "knwon", "known")
    assert call(node, "known", "a") == right("a", 1)


def test_a_service_whose_version_is_not_there_says_so_and_answers_when_it_comes(
    node: RunningNode, control: ControlClient
) -> None:
    push_oracle(control, "early")
    deploy(control, "early", ref="candidate")
    until(lambda: "candidate" in why(node, "early"))
    predict(node, "early").told(503, "not_ready", "early", "candidate")
    control.move_stage("default", "early", "candidate", "1")
    until(lambda: ready(control, "early", 1))
    assert call(node, "early", "a") == right("a", 1)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, ("no model",)),
        ({"model.onnx": b""}, ("model.onnx",)),
        ({"readme.txt": b"later\n"}, ("model",)),
        ({"model.onnx": b"\x80\x04]\x94."}, ("model.onnx", "pickle")),
        ({"model.onnx": b"\x08\x07onnx", "model.yaml": b"runtime: sklearn\n"}, ("sklearn",)),
        ({"model.onnx": b"\x08\x07onnx", "model.yaml": b"runtime: [onnx\n"}, ("model.yaml",)),
    ],
    ids=["no files", "empty file", "no model", "a pickle", "another runtime", "no YAML"],
)
def test_what_is_no_model_is_refused_at_the_push(
    control: ControlClient, files: dict[str, bytes], told: tuple[str, ...]
) -> None:
    with pytest.raises(ShoalError) as refused:
        push(control, "nothing", files)
    assert refused.value.code in ("invalid_input", "config_error")
    text = f"{refused.value} {refused.value.hint}"
    assert [word for word in told if word not in text] == [], text
    assert control.models(search="nothing").models == ()


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"model.onnx": b"\x08\x07" + b"no graph at all" * 9}, "model.onnx"),
        ({"model.yaml": b"implementation: not_there_at_all:M\n"}, "not_there_at_all"),
        ({"model.py": b"class M: ...\n", "model.yaml": b"implementation: model:N\n"}, "N"),
        ({"model.py": b"import not_installed_at_all\n"}, "not_installed_at_all"),
    ],
    ids=["no ONNX", "no code", "no such class", "no such library"],
)
def test_files_that_only_look_right_fail_at_the_load_with_their_reason(
    node: RunningNode, control: ControlClient, files: dict[str, bytes], word: str
) -> None:
    name = f"lookalike-{word.replace('.', '-').lower()}"
    push(control, name, files)
    fails(node, name).told(503, "not_ready", name, "cannot be loaded", word)
    assert word in why(node, name)


# Too large, lying, crashing, hanging


def test_a_model_too_large_for_its_pool_is_refused_before_it_is_loaded(
    node: RunningNode, control: ControlClient
) -> None:
    push_oracle(control, "fits")
    deploy(control, "fits", ref="1", placement="shared", pool="small")
    assert call(node, "fits", "a") == right("a", 1)
    before = metric(node, "shoal_pool_loads_total")
    yaml = b"implementation: model:OracleModel\n"
    push(control, "whale", {"model.py": ORACLE, "model.yaml": yaml, "weights.bin": bytes(40 * MEGABYTE)})
    deploy(control, "whale", ref="1", placement="shared", pool="small")
    fails(node, "whale").told(503, "not_ready", "whale", "40.0 MiB", "32 MiB", "a worker of its own")
    assert metric(node, "shoal_pool_loads_total") == before
    assert call(node, "fits", "b") == right("b", 1)


def test_a_model_that_takes_more_than_its_files_is_let_go_of_and_told(
    node: RunningNode, control: ControlClient
) -> None:
    push_oracle(control, "modest")
    deploy(control, "modest", ref="1", placement="shared", pool="small")
    push_faults(control, "liar", "parameters: {load: 'leak:80'}\n")
    deploy(control, "liar", ref="1", placement="shared", pool="small")
    assert call(node, "modest", "a") == right("a", 1)
    fails(node, "liar").told(503, "not_ready", "liar", "32 MiB", "when it was loaded")
    assert call(node, "modest", "b") == right("b", 1)


def test_a_service_that_needs_more_memory_than_its_limit_is_killed_alone(
    node: RunningNode, control: ControlClient
) -> None:
    push_oracle(control, "beside")
    push_faults(control, "glutton")
    deploy(control, "glutton", ref="1", memory_bytes=400 * MEGABYTE)
    until(lambda: ready(control, "glutton", 1))
    call(node, "beside", "warm")

    async def main() -> Load:
        async with Load(node, "beside", {1}, callers=4) as load:
            answer = await asyncio.to_thread(predict, node, "glutton", "leak:600")
            answer.told(422, "poison_input")
        return load

    asyncio.run(main()).check(at_least=20)


@pytest.mark.parametrize(
    ("fault", "more", "words"),
    [
        ("raise:no such weights", "", ["no such weights"]),
        ("segv", "", ["SIGSEGV"]),
        ("exit:3", "", ["3"]),
        ("hang", "limits: {load_seconds: 1}\n", ["longer than 1 seconds"]),
    ],
    ids=["raises", "crashes", "exits", "hangs"],
)
def test_a_model_that_cannot_be_loaded_in_a_shared_worker_says_why_and_hurts_nobody(
    node: RunningNode, control: ControlClient, fault: str, more: str, words: list[str]
) -> None:
    name = f"bad-{fault.partition(':')[0]}"
    push_oracle(control, f"near-{name}")
    push_faults(control, name, f"parameters: {{load: '{fault}'}}\n{more}")
    call(node, f"near-{name}", "warm")

    async def main() -> Load:
        async with Load(node, f"near-{name}", {1}, callers=4) as load:
            answer = await asyncio.to_thread(fails, node, name)
            answer.told(503, "not_ready", name, *words)
            enough = load.answered + 20
            await asyncio.to_thread(until, lambda: load.answered > enough)
        return load

    asyncio.run(main()).check()
    assert all(word in why(node, name) for word in words)


# Bytes that change


def blob_of(home: Path, data: bytes) -> Path:
    digest = hashlib.sha256(data).hexdigest()
    return home / "artifacts" / "blobs" / digest[:2] / digest


def damage(path: Path) -> None:
    """Flip a bit of a file that nobody is to write to."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def test_a_blob_that_rots_in_the_store_is_never_loaded_and_heals_by_a_push(
    node: RunningNode, control: ControlClient, home: Path
) -> None:
    code = ORACLE + b"# all of its own\n"
    files = {"model.py": code, "model.yaml": b"implementation: model:OracleModel\n"}
    push(control, "rotten", files)
    damage(blob_of(home, code))
    told = predict(node, "rotten")
    told.told(503, "not_ready", "rotten", hashlib.sha256(code).hexdigest()[:12])
    told.hinted("push")
    control.upload(hashlib.sha256(code).hexdigest(), io.BytesIO(code), len(code))
    assert call(node, "rotten", "a") == right("a", 1)


def test_a_blob_that_is_gone_from_the_store_is_told_and_heals_by_a_push(
    node: RunningNode, control: ControlClient, home: Path
) -> None:
    code = ORACLE + b"# lost\n"
    push(control, "lost", {"model.py": code, "model.yaml": b"implementation: model:OracleModel\n"})
    blob_of(home, code).unlink()
    told = predict(node, "lost")
    told.told(503, "not_ready", "lost", hashlib.sha256(code).hexdigest()[:12])
    told.hinted("push")
    control.upload(hashlib.sha256(code).hexdigest(), io.BytesIO(code), len(code))
    assert call(node, "lost", "a") == right("a", 1)


def test_bytes_that_rot_in_the_nodes_cache_are_fetched_again_unseen(
    node: RunningNode, control: ControlClient, home: Path
) -> None:
    code = ORACLE + b"# cached\n"
    version = push(control, "flipped", {"model.py": code, "model.yaml": b"implementation: model:OracleModel\n"})
    assert call(node, "flipped", "a") == right("a", 1)
    assert ask(f"{node.url}/v2/repository/models/flipped/unload", "POST", {}).status == 200
    damage(home / "cache" / "trees" / version.digest / "model.py")
    assert call(node, "flipped", "b") == right("b", 1)
    assert (home / "cache" / "trees" / version.digest / "model.py").read_bytes() == code


# Two at once


def test_of_many_who_publish_one_number_one_wins_and_it_is_what_answers(
    node: RunningNode, control: ControlClient
) -> None:
    bodies = []
    for nonce in ("even", "odd"):
        files = {
            "model.py": ORACLE,
            "model.yaml": f"implementation: model:OracleModel\nparameters: {{nonce: {nonce}}}\n".encode(),
        }
        entries = []
        for path, data in files.items():
            digest = hashlib.sha256(data).hexdigest()
            control.upload(digest, io.BytesIO(data), len(data))
            entries.append(FileEntry(path, len(data), digest))
        bodies.append(NewVersion(model="contested", version=1, manifest=Manifest(tuple(entries))))

    def publish(number: int) -> tuple[int, str]:
        with node.control() as own:
            try:
                return number % 2, own.register(bodies[number % 2]).digest
            except Conflict as error:
                return number % 2, f"{error.message}: {error.hint}"

    with ThreadPoolExecutor(12) as threads:
        told = Counter(threads.map(publish, range(24)))
    digest = control.version("default", "contested", "1").digest
    winner = [body.manifest.digest for body in bodies].index(digest)
    assert len(told) == 2
    assert told[winner, digest] == 12
    assert all("contested" in what and "version" in what for number, what in told if number != winner)
    assert call(node, "contested", "a") == right("a", 1, ("even", "odd")[winner])


def slow_oracle(control: ControlClient, model: str) -> None:
    code = b"import time\n" + ORACLE + b"time.sleep(0.4)\n"
    push(control, model, {"model.py": code, "model.yaml": b"implementation: model:OracleModel\n"})


def test_a_stage_that_moves_while_its_model_loads_ends_where_it_was_moved_last(
    node: RunningNode, control: ControlClient
) -> None:
    for _ in range(3):
        slow_oracle(control, "restless")
    control.move_stage("default", "restless", "production", "1")
    deploy(control, "restless")
    for ref in ("2", "3", "1", "3", "2"):
        control.move_stage("default", "restless", "production", ref)
    until(lambda: ready(control, "restless", 2))
    assert call(node, "restless", "a") == right("a", 2)
    control.move_stage("default", "restless", "production", "3")
    control.move_stage("default", "restless", "production", "1")
    until(lambda: ready(control, "restless", 1))
    assert call(node, "restless", "b") == right("b", 1)


def test_a_version_that_is_served_is_deleted_only_when_no_stage_holds_it(
    node: RunningNode, control: ControlClient
) -> None:
    for nonce in ("1", "2"):
        push_oracle(control, "held", nonce=nonce)
    control.move_stage("default", "held", "production", "1")
    deploy(control, "held")
    until(lambda: ready(control, "held", 1))
    path = f"{node.control_url}/v1/models/default/held/versions/1"
    told = ask(path, "DELETE")
    told.told(409, "conflict", "production")
    told.hinted("stage")
    assert call(node, "held", "a") == right("a", 1, "1")
    control.move_stage("default", "held", "production", "2")
    until(lambda: ready(control, "held", 2))
    assert ask(path, "DELETE").status == 204
    ask(f"{node.control_url}/v1/models/default/held/stages/production", "PUT", {"ref": "1"}).told(
        404, "not_found", "held", "1", "deleted"
    )
    predict(node, "held", version="1").told(404, "not_found", "1")
    assert call(node, "held", "b") == right("b", 2, "2")


def test_a_collection_takes_nothing_that_is_served(node: RunningNode, control: ControlClient) -> None:
    for nonce in ("1", "2"):
        push_oracle(control, "kept", nonce=nonce)
    control.delete_version("default", "kept", 1)
    assert call(node, "kept", "a") == right("a", 2, "2")
    collected = control.collect(CollectRequest(keep_deleted_seconds=0.0, grace_seconds=0.0))
    assert collected.versions >= 1
    assert collected.blobs >= 1
    assert ask(f"{node.url}/v2/repository/models/kept/unload", "POST", {}).status == 200
    assert call(node, "kept", "b") == right("b", 2, "2")
    push_oracle(control, "kept", nonce="1")
    until(lambda: call(node, "kept", "c") == right("c", 3, "1"))


# Very many at once


def at_once(jobs: list[Callable[[], Answer]]) -> list[Answer]:
    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(lambda job: job(), jobs))


def test_three_hundred_requests_for_one_cold_model_load_it_once(node: RunningNode, control: ControlClient) -> None:
    slow_oracle(control, "thundering")
    before = metric(node, "shoal_pool_loads_total")

    async def main() -> list[str]:
        from shoal.client import AsyncClient

        async with AsyncClient(node.url, retries=0) as client:
            texts = [f"t{number}" for number in range(300)]
            calls = [client.predict_all("thundering", [text], timeout=30.0) for text in texts]
            return [answer for (answer,) in await asyncio.gather(*calls)]

    assert asyncio.run(main()) == [right(f"t{number}", 1) for number in range(300)]
    assert metric(node, "shoal_pool_loads_total") == before + 1


def test_sixty_cold_models_at_once_are_all_answered(node: RunningNode, control: ControlClient) -> None:
    names = [f"cold-{number}" for number in range(60)]
    for name in names:
        push_oracle(control, name)
    before, deaths = metric(node, "shoal_pool_loads_total"), metric(node, "shoal_pool_worker_deaths_total")
    answers = at_once([lambda name=name: predict(node, name, name) for name in names])  # type: ignore[misc]
    assert [answer.status for answer in answers] == [200] * 60
    assert [answer.body["outputs"][0] for answer in answers] == [right(name, 1) for name in names]
    assert metric(node, "shoal_pool_loads_total") == before + 60
    assert metric(node, "shoal_pool_worker_deaths_total") == deaths
