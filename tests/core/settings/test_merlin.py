"""Merlin's service file: it parses as it is, each field has an effect, and what has none is told."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import ConfigError
from shoal.core.service import Autoscaling, Device, Download, Service
from shoal.core.settings.merlin_schema import MerlinComet, MerlinFile, MerlinGpu, MerlinModel, MerlinScaling
from shoal.core.settings.services import LoadedServices, load_service_file, parse_service_text

FILE = """\
merlin_project: fraud_project
service_name: fraud-model
serving_layer: mlserver
entrypoint:
- mlserver
- start
- /srv/fraud/mlserver_api
num_replicas: 3
cpu: 2000m
gpu:
 count: 1
 type: nvidia-tesla-t4
memory: 32Gi
port: 8000
env_vars:
 SERVICE_NAME: fraud-model
 WORKERS: 4
auto_scaling:
 min_pod_replicas: 3
 max_pod_replicas: 10
 gpu_utilization: 75
artifacts: []
comet:
 environment: production
 autodownload: true
 models:
 - workspace: fraud-team
   version: 0.1.0
   model: fraud-scorer
   dest_path: /comet
   stages: []
timeout: 600
"""

SERVICE = Service(
    name="fraud-model",
    environment="production",
    model_namespace="fraud-team",
    model="fraud-scorer",
    ref="0.1.0",
    owner="fraud_project",
    tags={"merlin_project": "fraud_project", "serving_layer": "mlserver"},
    replicas=3,
    cpu=2.0,
    memory_bytes=32 * 1024**3,
    device=Device(model="nvidia-tesla-t4"),
    port=8000,
    timeout_seconds=600.0,
    autoscaling=Autoscaling(min_replicas=3, max_replicas=10, gpu_percent=75.0),
    variables={"SERVICE_NAME": "fraud-model", "WORKERS": "4"},
    downloads=(Download(namespace="fraud-team", model="fraud-scorer", ref="0.1.0", dest_path="comet"),),
)


def changed(old: str, new: str) -> LoadedServices:
    assert old in FILE
    return parse_service_text(FILE.replace(old, new))


def complaint(old: str, new: str) -> str:
    with pytest.raises(ConfigError) as raised:
        changed(old, new)
    return str(raised.value)


def test_the_whole_file_is_a_service(tmp_path: Path) -> None:
    (tmp_path / "merlin_service.yaml").write_text(FILE)
    assert load_service_file(tmp_path / "merlin_service.yaml").services == {"production": SERVICE}


def test_what_has_another_meaning_or_none_is_told_with_its_line() -> None:
    assert [note.split(": ")[:2] for note in parse_service_text(FILE, "m.yaml").notes] == [
        ["m.yaml:1", "merlin_project"],
        ["m.yaml:3", "serving_layer"],
        ["m.yaml:4", "entrypoint"],
        ["m.yaml:14", "port"],
        ["m.yaml:27", "comet.models[0]"],
        ["m.yaml:27", "comet.models[0].workspace"],
        ["m.yaml:28", "comet.models[0].version"],
        ["m.yaml:30", "comet.models[0].dest_path"],
    ]
    (entrypoint,) = [note for note in parse_service_text(FILE).notes if "entrypoint" in note]
    assert "has no meaning here, because Shoal starts the workers of a model itself" in entrypoint


EFFECTS = [
    ("merlin_project: fraud_project", "merlin_project: other"),
    ("service_name: fraud-model\nserving", "service_name: other\nserving"),
    ("serving_layer: mlserver", "serving_layer: triton"),
    ("num_replicas: 3", "num_replicas: 4"),
    ("cpu: 2000m", "cpu: 3"),
    (" count: 1", " count: 2"),
    (" type: nvidia-tesla-t4", " type: other"),
    ("memory: 32Gi", "memory: 16Gi"),
    ("port: 8000", "port: 8001"),
    (" WORKERS: 4", " WORKERS: 5"),
    ("min_pod_replicas: 3", "min_pod_replicas: 2"),
    ("max_pod_replicas: 10", "max_pod_replicas: 9"),
    ("gpu_utilization: 75", "gpu_utilization: 70"),
    ("gpu_utilization: 75", "cpu_utilization: 75"),
    ("artifacts: []", "artifacts: [{artifact: words, version: 2, dest_path: words}]"),
    ("environment: production", "environment: staging"),
    ("autodownload: true", "autodownload: false"),
    ("workspace: fraud-team", "workspace: other"),
    ("version: 0.1.0", "version: 7"),
    ("model: fraud-scorer", "model: other"),
    ("dest_path: /comet", "dest_path: /elsewhere"),
    ("   version: 0.1.0\n", ""),
    ("timeout: 600", "timeout: 60"),
]


@pytest.mark.parametrize(("old", "new"), EFFECTS)
def test_each_field_has_an_effect(old: str, new: str) -> None:
    (service,) = changed(old, new).services.values()
    assert service != SERVICE


def test_no_field_is_left_out_of_these_tests() -> None:
    told = "\n".join(old + new for old, new in EFFECTS) + "entrypoint env_vars auto_scaling comet models gpu stages"
    kinds = (MerlinFile, MerlinComet, MerlinModel, MerlinGpu, MerlinScaling)
    assert [name for kind in kinds for name in kind.model_fields if name not in told] == []


@pytest.mark.parametrize(
    ("version", "stages", "ref"),
    [
        ("0.1.0", "[]", "0.1.0"),
        ("7", "[]", "7"),
        ("latest", "[]", "latest"),
        ("null", "[canary]", "canary"),
        ("null", "[]", "production"),
    ],
)
def test_a_version_is_a_number_or_an_alias_and_a_stage_is_followed(version: str, stages: str, ref: str) -> None:
    text = FILE.replace("version: 0.1.0", f"version: {version}").replace("stages: []", f"stages: {stages}")
    (service,) = parse_service_text(text).services.values()
    assert service.ref == ref
    assert service.downloads[0].ref == ref


def test_the_first_model_answers_and_all_are_fetched() -> None:
    more = "   stages: []\n - {workspace: words, model: tokenizer, stages: [staging]}\n"
    (service,) = changed("   stages: []\n", more).services.values()
    assert (service.model_namespace, service.model) == ("fraud-team", "fraud-scorer")
    assert service.downloads[1] == Download(namespace="words", model="tokenizer", ref="staging", dest_path="tokenizer")


def test_what_is_not_said_has_our_defaults() -> None:
    loaded = parse_service_text("service_name: iris\n", namespace="team-a")
    iris = Service(namespace="team-a", name="iris", model_namespace="team-a", model="iris")
    assert loaded.services == {"production": iris}
    assert loaded.notes == ()


def test_no_card_is_told() -> None:
    text = FILE.replace(" count: 1", " count: 0").replace("gpu_utilization", "cpu_utilization")
    loaded = parse_service_text(text)
    assert loaded.services["production"].device is None
    assert any("gpu: asks for no card" in note for note in loaded.notes)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "num_replicas: 3",
            "num_replica: 3",
            "service.yaml:8: num_replica: there is no such field; did you mean `num_r",
        ),
        (" count: 1", " counts: 1", "service.yaml:11: gpu.counts: there is no such field; did you mean `count`? known"),
        (
            "serving_layer: mlserver",
            "serving_layer: x",
            "service.yaml:3: serving_layer: must be 'mlserver', 'triton' or",
        ),
        (
            "num_replicas: 3",
            "num_replicas: 20",
            "service.yaml:8: num_replicas: must lie within what autoscaling may give",
        ),
        ("port: 8000", "port: 0", "service.yaml:14: port: must be greater than or equal to 1, it is '0'"),
        ("cpu: 2000m", "cpu: lots", "service.yaml:9: cpu: must be a number of processors"),
        ("memory: 32Gi", "memory: much", "service.yaml:13: memory: must be a size"),
        (
            "gpu_utilization: 75",
            "gpu_utilization: 175",
            "auto_scaling.gpu_utilization: must be less than or equal to 100",
        ),
        (" count: 1", " count: 0", "service.yaml:21: auto_scaling.gpu_utilization: needs a card"),
        (" gpu_utilization: 75\n", "", "service.yaml:18: auto_scaling: needs a target to scale by"),
        ("version: 0.1.0", "version: 1.0", "comet.models[0].version: must be text: write it in quotes, it is '1.0'"),
        ("stages: []", "stages: [a, b]", "comet.models[0].stages: must hold one stage at most"),
        ("stages: []", "stages: [a]", "service.yaml:31: comet.models[0].stages: are followed in place of a version"),
        (
            "workspace: fraud-team",
            "workspace: Fraud Team",
            "comet.models[0].workspace: must be 1 to 63 lower-case letters",
        ),
        ("dest_path: /comet", "dest_path: ../up", "service.yaml:30: comet.models[0].dest_path: must be a path below"),
        ("dest_path: /comet", "dest_path: /", "service.yaml:30: comet.models[0].dest_path: must be a path below"),
        (
            "service_name: fraud-model\nserv",
            "service_name: a b\nserv",
            "service.yaml:2: service_name: must be 1 to 128",
        ),
        (
            " SERVICE_NAME: fraud-model",
            " SERVICE_NAME: off",
            "env_vars.SERVICE_NAME: must be a valid string, it is 'off'",
        ),
        ("environment: production", "environment: Prod", "comet.environment: must be 1 to 63 lower-case letters"),
        ("timeout: 600", "timeout: 0", "service.yaml:32: timeout: must be greater than 0, it is '0'"),
        ("timeout: 600", "environments: {}", "service.yaml:32: environments: there is no such field"),
    ],
)
def test_each_mistake_is_named_with_its_line(old: str, new: str, expected: str) -> None:
    assert expected in complaint(old, new)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 9) | st.sampled_from(["a", "0.1.0", "1Gi", "/x"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["count", "type", "models", "model", "version", "stages"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*MerlinFile.model_fields]), _VALUES, max_size=5))
def test_whatever_is_said_is_a_service_or_a_complaint(fields: dict[str, object]) -> None:
    with contextlib.suppress(ConfigError):
        loaded = parse_service_text(json.dumps({"service_name": "x"} | fields))
        assert len(loaded.services) == 1
