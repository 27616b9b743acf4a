"""Registration through the API: what is looked at, refused, and found again."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shoal.core.errors import StorageFull
from support.control_world import World, manifest, sha256, world

VERSIONS = "/v1/models/default/iris/versions"
PICKLE = pickle.dumps({"a": 1})


@pytest.fixture
def trusting(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "trusting", trust=True) as made:
        yield made


def register(world: World, files: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A request to register, whatever comes of it."""
    return {"json": {"model": "iris", "manifest": files, **fields}}


def test_a_version_is_registered_and_found_by_number_alias_stage_and_latest(control: World) -> None:
    first = control.push(b"r1", alias="0.1.0", description="first", lineage={"dataset": "d", "metrics": {"f1": 0.5}})
    second = control.push(b"r2")
    control.move("production", 1)
    assert (first["version"], second["version"], first["runtime"], first["trust"]) == (1, 2, "onnx", "")
    for ref, number in (("1", 1), ("0.1.0", 1), ("production", 1), ("latest", 2)):
        assert control.get(f"{VERSIONS}/{ref}")["version"] == number
    assert control.get(f"{VERSIONS}/1")["lineage"] == {"dataset": "d", "metrics": {"f1": 0.5}}
    assert control.problem("GET", f"{VERSIONS}/9") == (404, "not_found")


def test_the_same_number_again_is_200_with_the_same_content_and_409_with_other(control: World) -> None:
    control.store(b"r1")
    control.store(b"r2")
    one, two = (register(control, manifest(model__onnx=content), version=7) for content in (b"r1", b"r2"))
    assert [control.ask("POST", VERSIONS, **one).status_code for _ in range(3)] == [201, 200, 200]
    assert control.problem("POST", VERSIONS, **two) == (409, "conflict")


def test_of_many_publishers_one_wins(control: World) -> None:
    control.store(b"r1")
    control.store(b"r2")
    body = {each: register(control, manifest(model__onnx=each), version=1) for each in (b"r1", b"r2")}

    async def main() -> list[int]:
        import asyncio

        asked = [control.http.post(VERSIONS, **body[b"r1" if n % 2 else b"r2"]) for n in range(50)]
        return [answer.status_code for answer in await asyncio.gather(*asked)]

    statuses = control.run(main())
    assert (statuses.count(201), statuses.count(200), statuses.count(409)) == (1, 24, 25)


def test_the_path_and_the_body_must_agree(control: World) -> None:
    assert control.problem(
        "POST", "/v1/models/default/rose/versions", **register(control, manifest(model__onnx=b"ra"))
    ) == (
        400,
        "invalid_input",
    )


def test_files_that_are_not_stored_are_named(control: World) -> None:
    answer = control.ask("POST", VERSIONS, **register(control, manifest(model__onnx=b"rnever sent")))
    assert answer.status_code == 404
    assert "'model.onnx' is not in the artifact store" in answer.json()["error"]
    assert control.problem("GET", "/v1/models/default/iris") == (404, "not_found")


def test_a_format_that_can_run_code_needs_the_permission(control: World, trusting: World) -> None:
    for made in (control, trusting):
        made.store(PICKLE)
    asked = register(control, manifest(model__pkl=PICKLE))
    answer = control.ask("POST", VERSIONS, **asked)
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert "pickle" in answer.json()["error"]
    assert "--trust" in answer.json()["hint"]
    made = trusting.ask("POST", VERSIONS, **asked).json()
    assert (made["runtime"], made["trust"]) == ("sklearn", "code")


@pytest.mark.parametrize("claim", [{"trust": ""}, {"trust": "code"}, {"runtime": "sklearn"}])
def test_what_the_publisher_says_of_trust_changes_nothing(control: World, claim: dict[str, str]) -> None:
    control.store(PICKLE)
    assert control.problem("POST", VERSIONS, **register(control, manifest(model__pkl=PICKLE), **claim))[0] == 403


def test_a_settings_file_is_read_and_its_trust_is_not(control: World) -> None:
    settings = b"runtime: python\nimplementation: model:M\ntrust: code\n"
    code = b"class M: ...\n"
    for content in (settings, code):
        control.store(content)
    files = manifest(model__yaml=settings, model__py=code)
    answer = control.ask("POST", VERSIONS, **register(control, files))
    assert answer.status_code == 403
    assert "Python code" in answer.json()["error"]


def test_an_app_beside_a_model_is_code(control: World) -> None:
    settings, model, app = b"runtime: onnx\napp: web:app\n", b"rnet", b"app = None\n"
    for content in (settings, model, app):
        control.store(content)
    files = manifest(model__yaml=settings, net__onnx=model, web__py=app)
    assert control.problem("POST", VERSIONS, **register(control, files)) == (403, "permission_denied")


def test_no_model_and_the_wrong_runtime_are_refused(control: World) -> None:
    control.store(b"hello")
    for fields, said in (({}, "no model"), ({"runtime": "onnx"}, "no model")):
        answer = control.ask("POST", VERSIONS, **register(control, manifest(notes__md=b"hello"), **fields))
        assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text
    control.store(b"right")
    wrong = control.ask("POST", VERSIONS, **register(control, manifest(net__onnx=b"right"), runtime="sklearn"))
    assert "a model for onnx, not for sklearn" in wrong.json()["error"]
    assert control.problem("POST", VERSIONS, **register(control, {"files": []}))[0] == 400


def test_plain_files_are_taken_as_such(control: World) -> None:
    control.store(b"hello")
    made = control.ask("POST", VERSIONS, **register(control, manifest(notes__md=b"hello"), runtime="files"))
    assert (made.status_code, made.json()["runtime"]) == (201, "files")


@pytest.mark.parametrize(
    "path", ["../x.onnx", "/x.onnx", "a/../../x.onnx", "a\\b.onnx", "", ".", "x\0.onnx", "%2e%2e/x.onnx"]
)
def test_names_that_lead_elsewhere_are_refused(control: World, path: str, tmp_path: Path) -> None:
    control.store(b"hello")
    files = {"files": [{"path": path, "size": 5, "sha256": sha256(b"hello")}]}
    assert control.problem("POST", VERSIONS, **register(control, files)) == (400, "invalid_input")
    assert not list(tmp_path.rglob("x.onnx"))


def test_what_the_policy_wants_to_know_is_named(control: World) -> None:
    control.ask("PUT", "/v1/namespaces/default", json={"policy": {"required_lineage": ["dataset", "code"]}})
    control.store(b"r1")
    answer = control.ask("POST", VERSIONS, **register(control, manifest(model__onnx=b"r1")))
    assert (answer.status_code, answer.json()["field"]) == (400, "lineage.dataset")
    assert "lineage.code" in answer.json()["hint"]


def test_many_versions_of_many_models(control: World) -> None:
    control.store(b"r1")
    versions = [{"model": f"m{n % 5}", "manifest": manifest(model__onnx=b"r1")} for n in range(20)]
    made = control.ask("POST", "/v1/register-many", json={"versions": versions}).json()["versions"]
    assert [each["version"] for each in made[-5:]] == [4] * 5
    versions[3]["manifest"] = manifest(model__onnx=b"rnot there")
    assert control.problem("POST", "/v1/register-many", json={"versions": versions}) == (404, "not_found")
    assert control.get("/v1/models/default/m0")["latest"] == 4


def test_models_are_listed_page_by_page_and_searched(control: World) -> None:
    for name in ("a", "b", "c"):
        control.push(model=name, owner="ann" if name == "b" else "")
    pages, after = [], ""
    while True:
        page = control.get("/v1/models", limit=2, after=after)
        pages.append([each["name"] for each in page["models"]])
        if not (after := page["next"]):
            break
    assert pages == [["a", "b"], ["c"]]
    assert [each["name"] for each in control.get("/v1/models", owner="ann")["models"]] == ["b"]
    assert control.problem("GET", "/v1/models?limit=100000")[0] == 400


def test_versions_are_listed_page_by_page(control: World) -> None:
    for content in (b"r1", b"r2", b"r3"):
        control.push(content)
    first = control.get(VERSIONS, limit=2)
    assert ([each["version"] for each in first["versions"]], first["next"]) == ([3, 2], 2)
    rest = control.get(VERSIONS, limit=2, before=2)
    assert ([each["version"] for each in rest["versions"]], rest["next"]) == ([1], 0)


def test_deleting_is_refused_while_a_stage_points_there_and_leaves_a_tombstone(control: World) -> None:
    control.push()
    control.move("production", 1)
    assert control.problem("DELETE", f"{VERSIONS}/1") == (409, "conflict")
    assert control.problem("DELETE", "/v1/models/default/iris") == (409, "conflict")
    control.ask("DELETE", "/v1/models/default/iris/stages/production")
    assert [control.ask("DELETE", f"{VERSIONS}/1").status_code for _ in range(2)] == [204, 204]
    assert control.get(VERSIONS) == {"versions": [], "next": 0}
    assert [each["deleted"] for each in control.get(VERSIONS, deleted="true")["versions"]] == [True]


def test_who_did_what_is_told(control: World) -> None:
    control.store(b"r1")
    body = register(control, manifest(model__onnx=b"r1"))
    control.ask("POST", VERSIONS, **body, headers={"x-shoal-actor": "ann"})
    control.move("production", 1)
    events = control.get("/v1/events")["events"]
    assert [(each["actor"], each["action"]) for each in events] == [
        ("local", "stage.move"),
        ("ann", "version.register"),
    ]
    assert len(control.get("/v1/events", before=events[0]["number"])["events"]) == 1


def test_a_full_disk_is_507_and_nothing_is_visible(control: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageFull("there is no room in the artifact store", hint="make room")

    monkeypatch.setattr(control.control.blobs, "put", full)
    assert control.problem("PUT", f"/v1/blobs/{sha256(b'a')}", content=b"a") == (507, "storage_full")
    monkeypatch.undo()
    control.store(b"r1")
    monkeypatch.setattr(control.control.registry, "register", full)
    body = register(control, manifest(model__onnx=b"r1"))
    assert control.problem("POST", VERSIONS, **body) == (507, "storage_full")
    monkeypatch.undo()
    assert control.problem("GET", "/v1/models/default/iris")[0] == 404
    assert control.ask("POST", VERSIONS, **body).status_code == 201


def test_unused_files_are_collected_and_used_ones_stay(control: World) -> None:
    control.push(b"rkept")
    gone = control.store(b"unused")
    assert control.ask("POST", "/v1/gc", json={"dry_run": True, "grace_seconds": 0}).json()["blobs"] == 1
    assert control.ask("HEAD", f"/v1/blobs/{gone}").status_code == 200
    told = control.ask("POST", "/v1/gc", json={"grace_seconds": 0}).json()
    assert (told["blobs"], told["bytes"]) == (1, 6)
    assert control.ask("HEAD", f"/v1/blobs/{gone}").status_code == 404
    assert control.ask("HEAD", f"/v1/blobs/{sha256(b'rkept')}").status_code == 200


def test_a_registration_does_not_wait_for_ever_for_a_collection(
    control: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.control.control.KEEPING_SECONDS", 0.01)
    control.store(b"r1")
    body = register(control, manifest(model__onnx=b"r1"))
    with control.control._keeping:
        answer = control.ask("POST", VERSIONS, **body)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert control.ask("POST", VERSIONS, **body).status_code == 201


def test_a_collection_never_takes_a_file_from_under_a_registration(control: World) -> None:
    control.store(b"r1")
    inner, waits = control.control.blobs.list, threading.Event()
    body = register(control, manifest(model__onnx=b"r1"))
    statuses: list[int] = []

    def listing() -> Any:
        statuses.append(0)
        waits.wait(0.2)
        return inner()

    control.control.blobs.list = listing  # type: ignore[method-assign]

    async def main() -> None:
        import asyncio

        collecting = asyncio.ensure_future(control.http.post("/v1/gc", json={"grace_seconds": 0}))
        while not statuses:
            await asyncio.sleep(0)
        answer = await control.http.post(VERSIONS, **body)
        statuses.append(answer.status_code)
        await collecting

    control.run(main())
    there = control.ask("HEAD", f"/v1/blobs/{sha256(b'r1')}").status_code == 200
    assert (statuses[1], there) in ((201, True), (404, False))
