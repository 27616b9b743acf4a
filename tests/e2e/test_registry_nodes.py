"""Nodes of a registry, in one process and in many: every way to call a service, its app, a control that is killed."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
from collections.abc import Iterator

import grpc
import joblib
import numpy as np
import pytest
import requests
from sklearn.tree import DecisionTreeClassifier

from shoal.client.control import ControlClient
from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.catalogue import NamespaceChange
from shoal.testing.node import RunningNode, serve
from support.apps import APP, FILES, Asked
from support.split import Parts
from support.split import until as wait_until
from support.walking import Load, deploy, push, push_oracle, ready, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]

DOMAIN = "models.test"
SPLIT = ["--gateways", "2", "--proxies", "2"]
INFER = "/inference.GRPCInferenceService/ModelInfer"
ROW = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 1.0]}]}

LABELS = {"default": 1, "fraud": 2}
"""What the two models of one name answer, by their namespaces."""


def classifier(label: int) -> bytes:
    """A scikit-learn model, saved, that knows one label."""
    made = DecisionTreeClassifier().fit(np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([label, label]))
    file = io.BytesIO()
    joblib.dump(made, file)
    return file.getvalue()


@pytest.fixture(scope="module", params=["one", "many"])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node of a registry: one process, or many."""
    home, arguments = tmp_path_factory.mktemp("home"), SPLIT if request.param == "many" else []
    with serve(home=home, arguments=arguments, environment={"SHOAL_DOMAIN": DOMAIN}) as running:
        with running.control() as control:
            control.put_namespace("fraud", NamespaceChange())
            for namespace, label in LABELS.items():
                push(control, "iris", {"iris.joblib": classifier(label)}, namespace=namespace, runtime="sklearn")
        yield running


def asked(node: RunningNode, host: str, path: str) -> tuple[int, int]:
    """Status, and the label where it is 200; 0 otherwise. A first call may have to wait for its model."""
    got = requests.post(f"{node.url}{path}", json=ROW, headers={"host": host} if host else {}, timeout=30)
    return got.status_code, int(got.json()["outputs"][0]["data"][0]) if got.status_code == 200 else 0


@pytest.mark.parametrize(
    ("host", "path", "namespace"),
    [
        ("", "/v2/models/iris/infer", "default"),
        ("", "/v2/models/iris@fraud/infer", "fraud"),
        ("", "/ns/default/v2/models/iris/infer", "default"),
        ("", "/ns/fraud/v2/models/iris/infer", "fraud"),
        (f"iris.{DOMAIN}", "/infer", "default"),
        (f"iris.{DOMAIN}:8080", "/v2/models/iris/infer", "default"),
        (f"iris.fraud.{DOMAIN}", "/infer", "fraud"),
        (f"IRIS.Fraud.{DOMAIN}", "/v2/models/iris/infer", "fraud"),
        ("elsewhere.test", "/v2/models/iris/infer", "default"),
    ],
)
def test_http_by_path_and_host(node: RunningNode, host: str, path: str, namespace: str) -> None:
    assert asked(node, host, path) == (200, LABELS[namespace])


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("", "/ns/other/v2/models/iris/infer"),
        ("", "/ns/default/v2/models/iris@fraud/infer"),
        (f"iris.other.{DOMAIN}", "/infer"),
        (f"other.{DOMAIN}", "/v2/models/iris/infer"),
        (f"iris.fraud.{DOMAIN}", "/ns/default/v2/models/iris/infer"),
        (f"a.b.c.{DOMAIN}", "/infer"),
    ],
)
def test_what_is_not_there_is_unknown_however_it_is_called(node: RunningNode, host: str, path: str) -> None:
    assert asked(node, host, path) == (404, 0)


@pytest.mark.parametrize(
    ("authority", "metadata", "name", "namespace"),
    [
        ("", {}, "iris", "default"),
        ("", {}, "iris@fraud", "fraud"),
        ("", {"shoal-namespace": "fraud"}, "iris", "fraud"),
        (f"iris.{DOMAIN}", {}, "", "default"),
        (f"iris.fraud.{DOMAIN}", {}, "", "fraud"),
        (f"iris.fraud.{DOMAIN}", {}, "iris", "fraud"),
        ("", {"shoal-namespace": "other"}, "iris", ""),
        (f"iris.fraud.{DOMAIN}", {"shoal-namespace": "default"}, "iris", ""),
        (f"other.{DOMAIN}", {}, "iris", ""),
    ],
)
def test_grpc_by_metadata_and_authority(
    node: RunningNode, authority: str, metadata: dict[str, str], name: str, namespace: str
) -> None:
    request = pb.ModelInferRequest(model_name=name)
    tensor = request.inputs.add(name="x", datatype="FP64", shape=[1, 2])
    tensor.contents.fp64_contents.extend([1.0, 1.0])
    options = [("grpc.default_authority", authority)] if authority else []
    with grpc.insecure_channel(node.url.removeprefix("http://"), options=options) as channel:
        infer = channel.unary_unary(INFER, pb.ModelInferRequest.SerializeToString, pb.ModelInferResponse.FromString)
        if not namespace:
            with pytest.raises(grpc.RpcError) as refused:
                infer(request, metadata=list(metadata.items()), timeout=30)
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND
            return
        answer = infer(request, metadata=list(metadata.items()), timeout=30)
    label = answer.outputs[0].contents.int64_contents or np.frombuffer(answer.raw_output_contents[0], np.int64)
    assert label[0] == LABELS[namespace]


@pytest.mark.parametrize("node", ["many"], indirect=True)
def test_a_control_that_is_killed_under_load_is_missed_by_nobody_and_followed_once_it_is_back(
    node: RunningNode,
) -> None:
    parts = Parts(node)
    with node.control() as control:
        for _ in range(2):
            push_oracle(control, "steady")
        control.move_stage("default", "steady", "production", "1")
        deploy(control, "steady")
        until(lambda: ready(control, "steady", 1))

    async def main() -> None:
        async with Load(node, "steady", {1}, callers=4) as load:
            known = controls(node)
            os.kill(parts.pid("control"), signal.SIGKILL)
            await wait_until(lambda: len(controls(node)) > len(known))
            load.versions.add(2)
            with ControlClient(controls(node)[-1]) as control:
                await asyncio.to_thread(control.move_stage, "default", "steady", "production", "2")
            await wait_until(lambda: 2 in load.seen)
        load.check(at_least=50)

    asyncio.run(main())


def controls(node: RunningNode) -> list[str]:
    """Where the controls answered that the node has had, the present one last."""
    return re.findall(r"control answers at (\S+)", node.log())


@pytest.mark.parametrize("node", ["many"], indirect=True)
def test_a_service_has_its_app_and_a_new_version_its_own(node: RunningNode) -> None:
    asked = Asked(node)
    with node.control() as control:
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
