"""`service.yaml`: every field, every kind of mistake, and an environment for each overlay."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import ConfigError
from shoal.core.model import Limits
from shoal.core.service import Autoscaling, Cache, Device, Download, Service
from shoal.core.settings.service_schema import RunLimitsFields, ServiceFile
from shoal.core.settings.services import (
    MAX_ENVIRONMENTS,
    load_service_file,
    parse_service_text,
    service_file_schema,
)

EVERY_FIELD = """\
name: churn
namespace: team-a
description: Who leaves.
owner: team churn
links: {runbook: https://wiki.example/churn}
tags: {tier: gold}
model: shared/leavers
stage: canary
placement: dedicated
replicas: 3
cpu: 1500m
memory: 2Gi
gpu: {type: nvidia-tesla-t4, count: 1, memory: 8Gi}
port: 8000
timeout: 10s
latency_slo_ms: 50ms
autoscaling:
  min_replicas: 2
  max_replicas: 8
  concurrency: 4
  rate: 100.5
  latency_ms: 40ms
  cpu_percent: 70
  gpu_percent: 80
  idle_seconds: 10m
  scale_down_seconds: 2m
runtime_environment: locked.txt
variables: {A: 1, B: text}
network: true
batching: {preset: near-real-time, queue_rows: 100, queue_seconds: null}
limits: {threads: 2, execution_seconds: 5s, load_seconds: 1m, max_requests: 1000}
parameters: {outputs: [y], depth: 3, none: null}
cache: {seconds: 1m, bytes: 1Mi}
features: [customer.age, customer.region]
artifacts:
  - {model: tokenizer, version: 3, dest_path: tokenizer/files}
  - {model: shared/table, alias: 0.1.0, dest_path: table}
  - {model: words, dest_path: words}
autodownload: false
"""

WHOLE = Service(
    namespace="team-a",
    name="churn",
    model_namespace="shared",
    model="leavers",
    ref="canary",
    description="Who leaves.",
    owner="team churn",
    links={"runbook": "https://wiki.example/churn"},
    tags={"tier": "gold"},
    replicas=3,
    cpu=1.5,
    memory_bytes=2 * 1024**3,
    device=Device(model="nvidia-tesla-t4", memory_bytes=8 * 1024**3),
    port=8000,
    timeout_seconds=10.0,
    latency_target_ms=50.0,
    autoscaling=Autoscaling(
        min_replicas=2,
        max_replicas=8,
        concurrency=4.0,
        rate=100.5,
        latency_ms=40.0,
        cpu_percent=70.0,
        gpu_percent=80.0,
        idle_seconds=600.0,
        scale_down_seconds=120.0,
    ),
    requirements="numpy==2.0.0\n",
    variables={"A": "1", "B": "text"},
    network=True,
    batching={"policy": "fixed", "max_size": 4, "max_wait_ms": 20.0, "queue_rows": 100},
    limits={"threads": 2, "execution_seconds": 5.0, "load_seconds": 60.0, "max_requests": 1000},
    parameters={"outputs": ["y"], "depth": 3, "none": None},  # type: ignore[dict-item]
    cache=Cache(seconds=60.0, bytes=1024 * 1024),
    features=("customer.age", "customer.region"),
    downloads=(
        Download(namespace="team-a", model="tokenizer", ref="3", dest_path="tokenizer/files"),
        Download(namespace="shared", model="table", ref="0.1.0", dest_path="table"),
        Download(namespace="team-a", model="words", ref="production", dest_path="words"),
    ),
    autodownload=False,
)

OVERLAID = """\
name: churn
version: 4
replicas: 1
variables: {LEVEL: info, MODE: plain}
features: [a, b]
gpu: {type: t4, count: 2}
environments:
  staging:
    stage: staging
    variables: {LEVEL: debug, MODE: null}
    gpu: null
  production:
    replicas: 3
    features: [c]
    gpu: {count: 4}
  plain:
"""


def service_file(folder: Path, text: str) -> Path:
    (folder / "locked.txt").write_text("numpy==2.0.0\n")
    file = folder / "service.yaml"
    file.write_text(text)
    return file


def one(text: str) -> Service:
    (service,) = parse_service_text(text).services.values()
    return service


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        parse_service_text(text)
    return str(raised.value)


def test_every_field_arrives(tmp_path: Path) -> None:
    loaded = load_service_file(service_file(tmp_path, EVERY_FIELD))
    assert loaded.services == {"production": WHOLE}
    assert msgspec.json.decode(msgspec.json.encode(WHOLE), type=Service) == WHOLE
    assert loaded.notes == ()
    assert loaded.reads == (tmp_path / "service.yaml", tmp_path / "locked.txt")


def test_every_field_of_a_service_can_be_said() -> None:
    differs = {each for each in Service.__struct_fields__ if getattr(WHOLE, each) != getattr(one("name: x"), each)}
    assert set(Service.__struct_fields__) - differs == {"environment", "placement", "pool", "pinned"}
    assert [one(f"name: x\nnetwork: {said}").network for said in ("true", "false", "null")] == [True, False, None]
    shared = one("name: x\nplacement: shared\npool: small\npinned: true\nenvironments: {staging: }")
    assert (shared.placement, shared.pool, shared.pinned, shared.environment) == ("shared", "small", True, "staging")


def test_every_limit_of_a_model_has_its_place() -> None:
    elsewhere = {"workers", "memory_bytes", "timeout_seconds", "cpu"}
    assert set(Limits.__struct_fields__) == {*RunLimitsFields.model_fields, *elsewhere}


def test_a_name_is_enough() -> None:
    assert parse_service_text("name: iris").services == {"production": Service(name="iris", model="iris")}
    in_team = parse_service_text("name: iris", namespace="team-a").services["production"]
    assert in_team == Service(namespace="team-a", name="iris", model_namespace="team-a", model="iris")


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("version: 3", "3"),
        ("version: '3'", "3"),
        ("version: latest", "latest"),
        ("stage: canary", "canary"),
        ("alias: 0.1.0", "0.1.0"),
        ("alias: '1.0'", "1.0"),
        ("", "production"),
    ],
)
def test_what_is_served_is_said_in_one_of_three_ways(text: str, ref: str) -> None:
    assert one(f"name: x\n{text}").ref == ref


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpu: {}", Device()),
        ("gpu: {count: 4, type: a30}", Device(count=4, model="a30")),
        ("device: {kind: npu, memory: 1Gi}", Device(kind="npu", memory_bytes=1024**3)),
        ("", None),
    ],
)
def test_devices_are_cards_or_of_another_kind(text: str, expected: Device | None) -> None:
    assert one(f"name: x\n{text}").device == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", {}),
        ("{preset: auto}", {"policy": "adaptive", "max_size": None, "max_wait_ms": 20.0}),
        ("{preset: latency, max_size: auto}", {"policy": "fixed", "max_size": None, "max_wait_ms": 0.0}),
        ("{max_size: 8}", {"max_size": 8}),
        ("{latency_target_ms: 10, queue_bytes: null}", {"latency_target_ms": 10.0}),
    ],
)
def test_batching_holds_only_what_is_said(text: str, expected: dict[str, Any]) -> None:
    assert one(f"name: x\nbatching: {text}").batching == expected


def test_replicas_begin_with_the_fewest_that_autoscaling_gives() -> None:
    assert one("name: x\nautoscaling: {min_replicas: 2, max_replicas: 4, rate: 9}").replicas == 2
    assert one("name: x\nautoscaling: {min_replicas: 0}").replicas == 0


def test_overlays_are_laid_over_the_rest() -> None:
    services = parse_service_text(OVERLAID).services
    assert list(services) == ["staging", "production", "plain"]
    staging, production, plain = services.values()
    assert (staging.ref, staging.variables, staging.device) == ("staging", {"LEVEL": "debug"}, None)
    assert (production.ref, production.replicas, production.features) == ("4", 3, ("c",))
    assert production.device == Device(model="t4", count=4)
    assert (plain.ref, plain.replicas, plain.features, plain.device) == (
        "4",
        1,
        ("a", "b"),
        Device(model="t4", count=2),
    )
    assert {each.address for each in services.values()} == {"churn", "churn+staging", "churn+plain"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("replcas: 3", "service.yaml:2: replcas: there is no such field; did you mean `replicas`?"),
        ("replicas: many", "service.yaml:2: replicas: must be a valid integer, it is 'many'"),
        ("replicas: 2000", "replicas: must be less than or equal to 1024"),
        ("replicas: 0", "must be at least 1; to run none while nobody calls, say autoscaling.min_replicas: 0"),
        ("cpu: fast", "cpu: must be a number of processors, such as 2, 0.5 or 500m, it is 'fast'"),
        ("cpu: 0", "cpu: must be greater than 0"),
        ("cpu: true", "cpu: must be a number of processors"),
        ("memory: lots", "memory: must be a size, such as 512Mi"),
        ("memory: 1Mi", "memory: must be greater than or equal to 16777216"),
        ("timeout: 5 parsecs", "timeout: must be a duration"),
        ("port: 0", "port: must be greater than or equal to 1"),
        ("port: 65536", "port: must be less than or equal to 65535"),
        ("placement: alone", "placement: must be 'dedicated' or 'shared', it is 'alone'"),
        ("model: a/b/c", "model: must be 1 to 63 lower-case letters"),
        ("model: 'a b'", "model: must be 1 to 128 letters"),
        ("namespace: Team", "namespace: must be 1 to 63 lower-case letters"),
        ("stage: Production", "stage: must be 1 to 63 lower-case letters, digits and '-'"),
        ("version: 0.1.0", "version: must be the number of a version, or latest; for a name such as 0.1.0 use `alias`"),
        ("version: 0", "version: must be the number of a version"),
        ("version: 1.5", "version: must be the number of a version"),
        ("version: true", "version: must be the number of a version"),
        ("alias: 1.10", "alias: must be text: write it in quotes, it is '1.10'"),
        ("alias: '7'", "alias: must be a second name of a version"),
        ("alias: latest", "alias: must be a second name of a version"),
        ("version: 1\nstage: x", "service.yaml:3: stage: only one of version, stage and alias may be said"),
        ("gpu: {}\ndevice: {kind: npu}", "service.yaml:3: device: only one of gpu and device may be said"),
        ("gpu:\n  count: 2\n  memory: 1Gi", "service.yaml:4: gpu.memory: is for a part of one card"),
        ("gpu: {model: x}", "gpu.model: there is no such field; known here: type, count, memory"),
        ("device: {}", "service.yaml:2: device.kind: is required"),
        ("autoscaling: {min_replicas: 4, max_replicas: 2}", "autoscaling.max_replicas: must be at least min_replicas"),
        ("autoscaling: {max_replicas: 2}", "autoscaling: needs a target to scale by: one of concurrency, rate"),
        ("autoscaling: {max_replicas: 2, cpu_percent: 0}", "autoscaling.cpu_percent: must be greater than 0"),
        ("autoscaling: {max_replicas: 2, gpu_percent: 9}", "autoscaling.gpu_percent: needs a card"),
        ("autoscaling: {min_replicas: 0, idle_seconds: 0}", "autoscaling.idle_seconds: must be greater than 0"),
        ("autoscaling: {max_replicas: 2, rate: 1}\nreplicas: 3", "replicas: must lie within what autoscaling may give"),
        ("placement: shared\ncpu: 2", "cpu: is for placement: dedicated, and the placement here is shared"),
        ("placement: shared\nautoscaling: {min_replicas: 0}", "autoscaling: is for placement: dedicated"),
        ("placement: shared\nvariables: {A: b}", "variables: is for placement: dedicated"),
        ("placement: shared\nnetwork: false", "network: is for placement: dedicated"),
        ("network: asked", "network: must be a valid boolean"),
        ("pinned: true", "pinned: is for placement: shared, and the placement here is dedicated"),
        ("timeout: 1s\nlatency_slo_ms: 2000", "latency_slo_ms: must be shorter than timeout, which is 1 s"),
        ("limits: {workers: 2}", "limits.workers: there is no such field; known here: threads, execution_seconds"),
        ("batching: {polcy: fixed}", "batching.polcy: there is no such field; did you mean `policy`?"),
        ("links: {x: 'javascript:alert(1)'}", "links.x: must match"),
        ("variables: {'A-B': c}", "variables: 'A-B' cannot be the name of an environment variable"),
        ("variables: {A: off}", "variables.A: must be a valid string, it is 'off' (YAML reads off without quotes"),
        ("artifacts: [{model: x}]", "artifacts[0].dest_path: is required"),
        ("artifacts: [{model: x, dest_path: ../y}]", "artifacts[0].dest_path: must be a path below"),
        ("artifacts: [{model: x, dest_path: /etc}]", "artifacts[0].dest_path: must be a path below"),
        ("artifacts: [{model: x, dest_path: 'a\\b'}]", "artifacts[0].dest_path: must be a path below"),
        (
            "artifacts: [{model: x, dest_path: a/b}, {model: y, dest_path: a}]",
            "artifacts[1].dest_path: a overlaps with where another one goes",
        ),
        ("artifacts: [{model: x, version: 1, alias: b, dest_path: a}]", "artifacts[0].alias: only one of version"),
        ("runtime_environment: locked.txt", "names a file beside this one, and only a text is here"),
        ("environments: [a]", "environments: must hold 1 to 16 environments by name"),
        ("environments: {}", "environments: must hold 1 to 16 environments by name"),
        ("environments: {Prod: {}}", "environments.Prod: 'Prod' cannot be the name of a environment"),
        ("environments: {staging: 3}", "environments.staging: must hold the fields that differ in this environment"),
        ("environments: {staging: {name: y}}", "environments.staging.name: is the same in all environments"),
        (
            "environments:\n  staging:\n    replicas: few",
            "service.yaml:4: environments.staging.replicas: must be a valid integer, it is 'few'",
        ),
        (
            "environments:\n  staging:\n    gpu:\n      counts: 1",
            "service.yaml:5: environments.staging.gpu.counts: there is no such field; did you mean `count`?",
        ),
        (
            "autoscaling: {max_replicas: 4, rate: 2}\nenvironments:\n  staging:\n    autoscaling:\n      min_replicas: 5",
            "service.yaml:2: autoscaling.max_replicas: must be at least min_replicas, which is 5, it is 4",
        ),
        ("features: nothing", "features: must be a valid list"),
    ],
)
def test_each_mistake_is_named_with_its_line(text: str, expected: str) -> None:
    assert expected in complaint(f"name: x\n{text}")


def test_a_service_needs_a_name() -> None:
    assert complaint("replicas: 1") == "service.yaml:1: name: is required"
    assert "it must hold fields" in complaint("- a")
    assert "it must hold fields" in complaint("")


def test_mistakes_of_all_environments_are_told_once_in_their_order() -> None:
    text = "name: x\ncpu: no\nenvironments:\n  a: {port: 0}\n  b: {port: 70000}\n  c: {cpu: 1}\n"
    lines = complaint(text).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["service.yaml:2", "cpu"],
        ["service.yaml:4", "environments.a.port"],
        ["service.yaml:5", "environments.b.port"],
    ]


def test_environments_are_bounded() -> None:
    many = "".join(f"  e{number}: {{}}\n" for number in range(MAX_ENVIRONMENTS + 1))
    assert "must hold 1 to 16 environments" in complaint(f"name: x\nenvironments:\n{many}")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("nothing.txt", "runtime_environment: there is no 'nothing.txt'"),
        ("../locked.txt", "runtime_environment: must lie in the folder of this file"),
        ("binary.txt", "runtime_environment: 'utf-8' codec can't decode"),
        ("huge.txt", "runtime_environment: huge.txt has more than 1048576 bytes"),
        (".", "cannot be read: Is a directory"),
    ],
)
def test_a_lock_must_be_a_text_beside_the_file(tmp_path: Path, given: str, expected: str) -> None:
    (tmp_path / "binary.txt").write_bytes(b"\xff")
    (tmp_path / "huge.txt").write_bytes(b"#" * 1_100_000)
    with pytest.raises(ConfigError) as raised:
        load_service_file(service_file(tmp_path, f"name: x\nruntime_environment: {given}\n"))
    assert expected in str(raised.value)


def test_each_environment_may_have_libraries_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "next.txt").write_text("numpy==2.1.0\n")
    text = "name: x\nruntime_environment: locked.txt\nenvironments:\n  a: {runtime_environment: next.txt}\n  b: {}\n"
    loaded = load_service_file(service_file(tmp_path, text))
    assert [each.requirements for each in loaded.services.values()] == ["numpy==2.1.0\n", "numpy==2.0.0\n"]
    assert [each.name for each in loaded.reads] == ["service.yaml", "next.txt", "locked.txt"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: !!python/object/apply:os.system [id]", "the tag"),
        ("name: &a x\nlinks: [" + "*a," * 200 + "]", "more than 100 aliases"),
        ("name: x\nbase: &b {cpu: 1}\nenvironments:\n  a:\n    <<: *b", "service.yaml:5: merge keys"),
        ("name: x\ncpu: 1\ncpu: 2", "service.yaml:3: 'cpu' is there twice, first in line 2"),
        ("name: !!binary aGk=", "the tag"),
        ("name: " + "x" * 2_000_000, "at most 1048576 are read"),
        ("name: no", "name: must be a valid string, it is 'no' (YAML reads no without quotes as false"),
    ],
)
def test_hostile_yaml_is_refused(text: str, expected: str) -> None:
    assert expected in complaint(text)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "count", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from([*ServiceFile.model_fields, "nmae"]), _VALUES, max_size=5),
    st.dictionaries(st.sampled_from([*ServiceFile.model_fields]), _VALUES, max_size=3) | _VALUES,
)
def test_whatever_is_said_is_a_service_or_a_complaint(base: dict[str, Any], overlay: Any) -> None:
    text = json.dumps({"name": "x", **base, "environments": {"staging": overlay}})
    with contextlib.suppress(ConfigError):
        for service in parse_service_text(text).services.values():
            assert msgspec.json.decode(msgspec.json.encode(service), type=Service) == service


def test_schema_describes_every_field() -> None:
    schema = service_file_schema()
    json.dumps(schema)
    for kind in [schema, *schema["$defs"].values()]:
        assert kind["additionalProperties"] is False
        assert [name for name, each in kind["properties"].items() if not each.get("description")] == []
    overlay = schema["$defs"]["ServiceFields"]["properties"]
    assert [name for name, each in overlay.items() if {"type": "null"} not in each["anyOf"]] == []
