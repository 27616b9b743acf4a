"""The catalogue of services through the API: deployed, scaled, promoted, undeployed, and how it does."""

from __future__ import annotations

from typing import Any

import pytest

from support.control_world import World

PATH = "/v1/services/default/iris/production"


@pytest.fixture(autouse=True)
def _pushed(control: World) -> None:
    control.push(b"r1")
    control.push(b"r2")
    control.move("production", 1)
    control.move("staging", 2)


def test_a_service_appears_at_once_and_is_found(control: World) -> None:
    made = control.deploy(owner="ann", description="flowers", links={"wiki": "http://wiki"})
    assert (made["revision"], made["deleted"], made["health"]) == (1, False, [])
    assert control.get(PATH) == made
    for query in ({"search": "flow"}, {"owner": "ann"}, {"environment": "production"}, {"namespace": "default"}):
        assert [each["service"]["name"] for each in control.get("/v1/services", **query)["services"]] == ["iris"]
    for query in ({"search": "fish"}, {"owner": "bob"}, {"environment": "staging"}):
        assert control.get("/v1/services", **query)["services"] == []


def test_pages(control: World) -> None:
    for name in ("a", "b", "c"):
        control.deploy(name)
    first = control.get("/v1/services", limit=2)
    assert [each["service"]["name"] for each in first["services"]] == ["a", "b"]
    assert [each["service"]["name"] for each in control.get("/v1/services", after=first["next"])["services"]] == ["c"]


def test_two_who_change_at_once_do_not_overwrite_each_other(control: World) -> None:
    control.deploy()
    body = {"service": {"name": "iris", "model": "iris", "replicas": 2}, "expected": 1}
    assert control.ask("PUT", PATH, json=body).json()["revision"] == 2
    body["service"] = {"name": "iris", "model": "iris", "replicas": 3}
    assert control.problem("PUT", PATH, json=body) == (409, "conflict")


def test_the_model_must_be_there_and_the_path_must_agree(control: World) -> None:
    asked = {"service": {"name": "iris", "model": "no-such"}}
    assert control.problem("PUT", PATH, json=asked) == (404, "not_found")
    asked = {"service": {"name": "iris", "model": "iris", "environment": "staging"}}
    assert control.problem("PUT", PATH, json=asked) == (400, "invalid_input")


def test_a_change_that_would_end_what_is_served_is_refused(control: World) -> None:
    control.deploy()
    for change in ({"ref": "9"}, {"ref": "candidate"}):
        asked = {"service": {"name": "iris", "model": "iris", **change}}
        told = control.ask("PUT", PATH, json=asked)
        assert (told.status_code, told.json()["code"]) == (409, "conflict")
        assert change["ref"] in told.json()["error"]
        assert "push or stage that version first" in told.json()["hint"]
    assert control.get(PATH)["revision"] == 1
    waiting = control.deploy("early", ref="candidate")
    assert control.deploy("early", ref="9")["revision"] == waiting["revision"] + 1, "nothing is served that would end"


def test_scaling_keeps_the_rest_and_is_bounded(control: World) -> None:
    control.deploy(cpu=2.0)
    scaled = control.ask("POST", f"{PATH}/scale", json={"replicas": 90}).json()
    assert (scaled["service"]["replicas"], scaled["service"]["cpu"], scaled["revision"]) == (90, 2.0, 2)
    assert control.ask("POST", f"{PATH}/scale", json={"replicas": 90}).json()["revision"] == 2
    for wrong in (-1, 1001):
        assert control.problem("POST", f"{PATH}/scale", json={"replicas": wrong})[0] == 400
    control.deploy(autoscaling={"max_replicas": 3})
    assert control.problem("POST", f"{PATH}/scale", json={"replicas": 2}) == (400, "invalid_input")


def test_promotion_takes_what_answers_and_keeps_the_sizes(control: World) -> None:
    control.deploy(replicas=5, ref="1")
    control.deploy(environment="staging", replicas=1, ref="staging")
    query = {"name": "iris", "from": "staging", "to": "production"}
    differing = {each["path"] for each in control.get("/v1/diff", **query)["differences"]}
    assert differing == {"ref", "replicas"}
    promoted = control.ask("POST", "/v1/services/default/iris/promote", json={"from": "staging", "to": "production"})
    assert (promoted.json()["service"]["ref"], promoted.json()["service"]["replicas"]) == ("2", 5)
    wrong = {"from": "staging", "to": "staging"}
    assert control.problem("POST", "/v1/services/default/iris/promote", json=wrong)[0] == 400
    nowhere = {"from": "nowhere", "to": "staging"}
    assert control.problem("POST", "/v1/services/default/iris/promote", json=nowhere)[0] == 404


def test_a_dry_run_changes_nothing(control: World) -> None:
    asked = {"service": {"name": "iris", "model": "iris", "replicas": 2}}
    told = control.ask("POST", "/v1/diff", json=asked).json()["differences"]
    assert {"path": "replicas", "old": None, "new": 2} in told
    control.deploy()
    assert control.ask("POST", "/v1/diff", json=asked).json()["differences"] == [
        {"path": "replicas", "old": 1, "new": 2}
    ]
    assert control.get(PATH)["service"]["replicas"] == 1


def test_undeploying_leaves_a_tombstone_and_the_history(control: World) -> None:
    control.deploy()
    assert [control.ask("DELETE", PATH).status_code for _ in range(2)] == [204, 204]
    assert control.problem("GET", PATH) == (404, "not_found")
    assert control.get("/v1/services")["services"] == []
    assert [each["deleted"] for each in control.get("/v1/services", deleted="true")["services"]] == [True]
    assert [each["revision"] for each in control.get(f"{PATH}/history")["services"]] == [2, 1]
    control.deploy()
    assert control.get(PATH)["revision"] == 3


def report(node: str = "n1", **status: Any) -> dict[str, Any]:
    told = {"address": "iris", "state": "READY", "version": "1", "wanted": 2, "ready": 1, **status}
    return {"node": node, "url": "http://127.0.0.1:8080", "position": 3, "services": [told]}


def test_health_is_what_the_nodes_report(control: World) -> None:
    control.deploy()
    for node in ("n1", "n2"):
        assert control.ask("PUT", f"/v1/nodes/{node}", json=report(node)).status_code == 204
    health = control.get(PATH)["health"]
    assert [(each["node"], each["status"]["ready"]) for each in health] == [("n1", 1), ("n2", 1)]
    assert [each["node"] for each in control.get("/v1/nodes")["nodes"]] == ["n1", "n2"]
    assert control.problem("PUT", "/v1/nodes/other", json=report("n1"))[0] == 400


def test_routes_tell_what_answers(control: World) -> None:
    control.deploy(ref="staging")
    route = control.get("/v1/routes/iris")
    assert (route["target"]["version"], route["implicit"], route["reason"]) == ("2", False, "")
    assert control.get("/v1/routes/iris", version="1")["target"]["version"] == "1"
    assert control.problem("GET", "/v1/routes/iris+staging") == (404, "not_found")
    assert control.problem("GET", "/v1/routes/iris@nowhere") == (404, "not_found")
    assert [each["service"]["name"] for each in control.get("/v1/desired")["routes"]] == ["iris"]
    assert control.get("/v1/desired", environment="staging")["routes"] == []
    control.ask("DELETE", PATH)
    assert control.get("/v1/routes/iris")["implicit"] is True


def test_a_service_without_its_version_is_a_route_with_the_reason(control: World) -> None:
    control.deploy(ref="canary")
    route = control.get("/v1/routes/iris")
    assert route["target"] is None
    assert "canary" in route["reason"]
