"""`shoal deploy | services | scale | undeploy | diff | promote` against a control."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shoal.client.control import ControlClient
from shoal.core.routes import NodeStatus, ServiceStatus

Give = Callable[..., Any]

SERVICE = """\
name: iris
model: iris
owner: ann
replicas: 2
environments:
  staging: {stage: staging, replicas: 1}
  production: {}
"""


@pytest.fixture
def file(tmp_path: Path, shoal: Give) -> Path:
    for content, stage in (("r1", "production"), ("r2", "staging")):
        (tmp_path / "iris.onnx").write_text(content)
        shoal("push", tmp_path / "iris.onnx", "--stage", stage)
    path = tmp_path / "service.yaml"
    path.write_text(SERVICE)
    return path


def test_a_file_is_deployed_to_its_environments(shoal: Give, told: Give, file: Path) -> None:
    assert shoal("deploy", "-f", file) == "deployed iris+staging (revision 1)\ndeployed iris (revision 1)\n"
    found = {each["service"]["environment"]: each["service"]["replicas"] for each in told("services")["services"]}
    assert found == {"staging": 1, "production": 2}
    assert "iris:production" in shoal("services")
    assert "no node" in shoal("services", "iris+staging")


def test_one_environment_alone(shoal: Give, told: Give, file: Path) -> None:
    shoal("deploy", "-f", file, "--env", "staging")
    assert len(told("services")["services"]) == 1
    assert "no environment test" in shoal("deploy", "-f", file, "--env", "test", code=2)


def test_a_dry_run_and_a_diff_tell_and_change_nothing(shoal: Give, told: Give, file: Path) -> None:
    assert told("deploy", "-f", file, "--dry-run")["differences"]["iris"]
    assert told("services")["services"] == []
    shoal("deploy", "-f", file)
    assert "iris: no difference" in shoal("diff", "-f", file)
    file.write_text(SERVICE.replace("replicas: 2", "replicas: 4"))
    shown = shoal("diff", "-f", file, code=1)
    assert "replicas  2    4" in shown
    between = shoal("diff", "iris", "staging", "production", code=1)
    assert "ref" in between


def test_a_wrong_file_is_told_by_line_and_nothing_is_done(shoal: Give, told: Give, file: Path) -> None:
    file.write_text(SERVICE.replace("replicas: 2", "replicas: many"))
    assert "service.yaml:4: replicas" in shoal("deploy", "-f", file, code=2)
    assert told("services")["services"] == []


def test_a_model_that_is_not_there_is_told(shoal: Give, tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text("name: x\nmodel: none\n")
    assert "no model" in shoal("deploy", "-f", tmp_path / "service.yaml", code=1)


def test_a_service_that_cannot_answer_yet_says_why(shoal: Give, file: Path) -> None:
    file.write_text("name: iris\nmodel: iris\nstage: canary\n")
    assert "it cannot answer yet" in shoal("deploy", "-f", file)


def test_promotion(shoal: Give, told: Give, file: Path) -> None:
    shoal("deploy", "-f", file)
    assert shoal("promote", "staging->production", "iris") == "promoted iris: iris:2 (revision 2)\n"
    service = told("services", "iris")["service"]["service"]
    assert (service["ref"], service["replicas"]) == ("2", 2)
    assert told("promote", "staging", "production", "iris")["revision"] == 2
    assert "two environments" in shoal("promote", "staging", "iris", code=2)


def test_scaling_and_undeploying(shoal: Give, told: Give, file: Path) -> None:
    shoal("deploy", "-f", file)
    assert shoal("scale", "iris", 90) == "iris: 90 replicas (revision 2)\n"
    assert told("scale", "iris+staging", 2)["service"]["replicas"] == 2
    assert "cannot be had" in shoal("scale", "iris", 5000, code=1)
    assert shoal("undeploy", "iris+staging") == "undeployed iris+staging\n"
    assert "was deleted" in shoal("services", "iris+staging", code=1)
    assert "deleted" in shoal("services", "--deleted")
    assert "no service" in shoal("undeploy", "none", code=1)


def test_waiting_ends_when_a_node_answers_with_it(shoal: Give, control: ControlClient, file: Path) -> None:
    status = ServiceStatus(address="iris", state="READY", version="1", wanted=2, ready=2)

    def serve() -> None:
        while not control.desired("production"):
            control.feed(control.feed(0).position, wait=0.05)
        control.report(NodeStatus(node="n1", url="http://127.0.0.1:8080", services=(status,)))

    node = threading.Thread(target=serve)
    node.start()
    assert "deployed iris" in shoal("deploy", "-f", file, "--env", "production", "--wait", "--timeout", 20)
    node.join()
    shown = shoal("services", "iris")
    assert "READY 2/2" in shown
    assert "http://127.0.0.1:8080" in shown


def test_waiting_ends_with_the_reason(shoal: Give, file: Path) -> None:
    told = shoal("deploy", "-f", file, "--env", "production", "--wait", "--timeout", 0.1, code=1)
    assert "is not ready after 0.1 s: no node has reported it" in told


def test_nobody_waits_for_a_version_that_is_not_there(shoal: Give, tmp_path: Path, file: Path) -> None:
    early = tmp_path / "early.yaml"
    early.write_text("name: early\nmodel: iris\nstage: canary\n")
    told = shoal("deploy", "-f", early, "--wait", code=1)
    assert "early is deployed and cannot answer yet: the model iris" in told
