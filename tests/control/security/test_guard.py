"""Who gets in, what they see, what they may do, and what is written down of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from shoal.control.security.guard import Guard
from shoal.core import keys as texts
from support.control_world import manifest, sha256, world
from support.keyed import Keyed

MODEL = "/v1/models/default/iris"


def body(answer: Any) -> dict[str, Any]:
    told = dict(answer.json())
    told.pop("request_id")
    return told


def test_without_keys_everybody_on_this_machine_may_do_everything(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        made.push()
        assert made.ask("GET", "/v1/keys").json() == {"keys": []}


def test_the_first_key_must_be_able_to_make_others_and_turns_authentication_on(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        grants = [{"permissions": ["engineer"], "namespace": "default"}]
        assert made.problem("POST", "/v1/keys", json={"name": "a", "grants": grants}) == (409, "conflict")
        assert made.ask("GET", "/v1/models").status_code == 200
        Keyed(made)
        made.http.headers.pop("authorization")
        answer = made.ask("GET", "/v1/models")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_with_keys_asked_for_nobody_gets_in_before_there_is_one(tmp_path: Path) -> None:
    with world(tmp_path, auth="keys") as made:
        assert made.problem("GET", "/v1/models") == (401, "unauthenticated")
        assert made.problem("GET", "/no/such/path") == (401, "unauthenticated")
        assert made.ask("GET", "/health/ready").json() == {"state": "ready", "version": "", "position": 0, "models": 0}


def test_without_authentication_keys_are_not_looked_at(tmp_path: Path) -> None:
    with world(tmp_path, auth="none") as made:
        Keyed(made)
        made.http.headers.pop("authorization")
        assert made.ask("GET", "/v1/models").status_code == 200


def test_a_key_is_told_once_and_kept_as_a_digest(keyed: Keyed, tmp_path: Path) -> None:
    text = keyed.key("viewer", name="ann")
    entry = keyed.world.get("/v1/keys")["keys"][0]
    assert (entry["name"], entry["id"]) == ("ann", texts.parse(text))
    assert text not in str(keyed.world.get("/v1/keys"))
    table = keyed.world.get("/v1/access")
    assert texts.digest(text) in str(table)
    assert text not in str(table)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("registry.db*"))
    assert text.encode() not in stored
    assert texts.digest(text).encode() in stored


def test_a_key_is_not_given_again_to_a_repeated_request(keyed: Keyed) -> None:
    ask = {"json": {"name": "a", "grants": [{"permissions": ["viewer"]}]}, "headers": {"idempotency-key": "k"}}
    first, second = (keyed.ask(keyed.admin, "POST", "/v1/keys", **ask).json()["key"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_both_headers_show_a_key(keyed: Keyed, header: str) -> None:
    value = f"Bearer {keyed.admin}" if header == "authorization" else keyed.admin
    assert keyed.ask("", "GET", "/v1/models", headers={header: value}).status_code == 200
    other = {"x-api-key": keyed.key("viewer")}
    assert keyed.told(keyed.admin, "GET", "/v1/models", headers=other) == (401, "unauthenticated")


def test_wrong_keys_are_told_apart_and_let_nobody_in(keyed: Keyed) -> None:
    good = keyed.key("viewer")
    mistyped = good[:-1] + ("a" if good[-1] != "a" else "b")
    stranger = texts.generate().text
    told = {name: keyed.ask(key, "GET", "/v1/models") for name, key in (("mis", mistyped), ("new", stranger))}
    assert {answer.status_code for answer in told.values()} == {401}
    assert "mistyped" in told["mis"].json()["error"]
    assert "not known" in told["new"].json()["error"]
    for scheme in ("Basic dXNlcjpwYXNz", "Bearer", "bearer  ", "Bearer eyJhbGciOiJub25lIn0.e30."):
        assert keyed.ask("", "GET", "/v1/models", headers={"authorization": scheme}).status_code == 401


def test_a_revoked_key_is_out_at_once_and_the_feed_says_so(keyed: Keyed) -> None:
    key = keyed.key("viewer")
    assert keyed.ask(key, "GET", "/v1/models").status_code == 200
    before = keyed.world.get("/v1/feed", after=-1)["position"]
    revision = keyed.world.get("/v1/access")["revision"]
    assert keyed.world.ask("DELETE", f"/v1/keys/{texts.parse(key)}").json()["revoked"] > 0
    assert keyed.told(key, "GET", "/v1/models") == (401, "unauthenticated")
    assert [each["kind"] for each in keyed.world.get("/v1/feed", after=before)["changes"]] == ["access"]
    table = keyed.world.get("/v1/access")
    assert table["revision"] > revision
    assert texts.parse(key) not in [each["id"] for each in table["keys"]]


def test_the_last_administrator_cannot_be_locked_out(keyed: Keyed) -> None:
    mine = texts.parse(keyed.admin)
    keyed.key("admin", namespace="*", seconds=60.0)
    assert keyed.told(keyed.admin, "DELETE", f"/v1/keys/{mine}") == (409, "conflict")
    other = keyed.key("admin", namespace="*")
    assert keyed.ask(other, "DELETE", f"/v1/keys/{mine}").status_code == 200
    assert keyed.told(other, "DELETE", f"/v1/keys/{texts.parse(other)}") == (409, "conflict")


def test_what_is_foreign_is_told_like_what_is_not_there(keyed: Keyed) -> None:
    keyed.world.push()
    keyed.world.push(model="rose")
    foreign = keyed.key("owner", namespace="other")
    one = keyed.key("owner", model="rose")
    for key, path in ((foreign, "/v1/models/{}/iris"), (foreign, "/v1/namespaces/{}"), (one, "/v1/models/default/{}")):
        there, unknown = ("iris", "nothing") if key == one else ("default", "nothing")
        answers = [keyed.ask(key, "GET", path.format(name)) for name in (there, unknown)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert body(answers[0]) == body(answers[1])
    digests = [keyed.ask(foreign, "GET", f"/v1/blobs/{sha256(each)}") for each in (b"r1", b"never")]
    assert [answer.status_code for answer in digests] == [404, 404]
    assert body(digests[0]) == body(digests[1])
    assert keyed.ask(one, "GET", f"/v1/blobs/{sha256(b'r1')}").status_code == 200


def test_hints_name_nothing_that_one_may_not_see(keyed: Keyed) -> None:
    for model in ("iris", "iris-secret"):
        keyed.world.push(model=model)
    one = keyed.key("owner", model="iris-typo")
    assert "iris" not in keyed.ask(one, "GET", "/v1/models/default/iris-typo").text
    assert "iris-secret" in keyed.ask(keyed.key("viewer"), "GET", "/v1/models/default/iris-typo").text


def test_lists_show_what_one_may_see_page_by_page(keyed: Keyed) -> None:
    for name in ("a", "b"):
        assert keyed.world.ask("PUT", f"/v1/namespaces/{name}", json={}).status_code == 200
    for namespace in ("a", "default", "b"):
        for model in ("m1", "m2", "m3"):
            keyed.world.push(model=model, namespace=namespace)
    keyed.world.deploy("m1", model="m1")
    viewer = keyed.give([
        {"permissions": ["viewer"], "namespace": "b"},
        {"permissions": ["viewer"], "namespace": "a", "model": "m2"},
    ])  # fmt: skip
    seen, after = [], ""
    while True:
        page = keyed.ask(viewer, "GET", "/v1/models", params={"limit": 2, "after": after}).json()
        seen += [f"{each['namespace']}/{each['name']}" for each in page["models"]]
        if not (after := page["next"]):
            break
    assert seen == ["a/m2", "b/m1", "b/m2", "b/m3"]
    assert keyed.ask(viewer, "GET", "/v1/services").json()["services"] == []
    rooms = keyed.ask(viewer, "GET", "/v1/namespaces").json()["namespaces"]
    assert [each["name"] for each in rooms] == ["a", "b"]


def test_bodies_reach_no_further_than_paths(keyed: Keyed) -> None:
    keyed.world.push()
    assert keyed.world.ask("PUT", "/v1/namespaces/other", json={}).status_code == 200
    keyed.world.push(namespace="other", model="secret")
    engineer = keyed.key("engineer")
    new = {"namespace": "other", "model": "x", "manifest": manifest(model__onnx=b"r1")}
    assert keyed.told(engineer, "POST", "/v1/register-many", json={"versions": [new]}) == (404, "not_found")
    service = {"name": "iris", "model": "iris", "ref": "1"}
    path = "/v1/services/default/iris/production"
    for more in (
        {"model_namespace": "other", "model": "secret"},
        {"downloads": [{"namespace": "other", "model": "secret", "ref": "1", "dest_path": "x"}]},
    ):
        assert keyed.told(engineer, "PUT", path, json={"service": service | more}) == (404, "not_found")
    locked = {"service": service | {"requirements": "evil==1"}}
    assert keyed.told(engineer, "PUT", path, json=locked) == (403, "permission_denied")
    assert keyed.ask(engineer, "PUT", path, json={"service": service}).status_code == 200


def test_only_who_may_let_the_network_in_can(keyed: Keyed) -> None:
    keyed.world.push()
    service = {"service": {"name": "iris", "model": "iris", "ref": "1", "network": True}}
    path = "/v1/services/default/iris/production"
    engineer, owner = keyed.key("engineer"), keyed.key("owner")
    assert keyed.told(engineer, "PUT", path, json=service) == (403, "permission_denied")
    assert keyed.ask(owner, "PUT", path, json=service).status_code == 200
    for said in (False, None):
        asked = {"service": service["service"] | {"network": said}}
        assert keyed.ask(engineer, "PUT", path, json=asked).status_code == 200
    asking = b"network: true\n"
    for content in (b"r1", asking):
        keyed.world.store(content)
    new = {"model": "m", "manifest": manifest(model__onnx=b"r1", model__yaml=asking)}
    versions = "/v1/models/default/m/versions"
    assert keyed.told(engineer, "POST", versions, json=new) == (403, "permission_denied")
    assert keyed.ask(owner, "POST", versions, json=new).status_code == 201
    policy = {"policy": {"allow_network": False}}
    assert keyed.ask(owner, "PUT", "/v1/namespaces/default", json=policy).status_code == 200
    assert keyed.told(owner, "PUT", path, json=service) == (400, "invalid_input")
    assert keyed.world.get("/v1/routes/m")["network"] is False


def test_only_who_may_let_code_in_can(keyed: Keyed) -> None:
    code = b"import os\n"
    keyed.world.store(code)
    new = {"model": "m", "manifest": manifest(model__py=code)}
    versions = "/v1/models/default/m/versions"
    assert keyed.told(keyed.key("engineer"), "POST", versions, json=new) == (403, "permission_denied")
    assert keyed.told(keyed.key("owner", model="x"), "POST", versions, json=new) == (404, "not_found")
    assert keyed.ask(keyed.key("owner"), "POST", versions, json=new).status_code == 201


def test_nobody_gives_away_more_than_they_have(keyed: Keyed) -> None:
    owner = keyed.key("owner", namespace="default", tenant="gold")
    for grant in (
        {"permissions": ["admin"], "namespace": "default"},
        {"permissions": ["viewer"], "namespace": "*"},
        {"permissions": ["viewer"], "namespace": "other"},
        {"permissions": ["node"], "namespace": "*"},
    ):
        asked = {"name": "x", "grants": [grant]}
        assert keyed.told(owner, "POST", "/v1/keys", json=asked) == (403, "permission_denied"), grant
    made = keyed.give([{"permissions": ["engineer"], "namespace": "default"}], by=owner, tenant="platinum")
    entry = next(each for each in keyed.world.get("/v1/keys")["keys"] if each["id"] == texts.parse(made))
    assert (entry["tenant"], entry["creator"]) == ("gold", texts.parse(owner))
    listed = [each["id"] for each in keyed.ask(owner, "GET", "/v1/keys").json()["keys"]]
    assert listed == [texts.parse(made), texts.parse(owner)]
    path = f"/v1/keys/{texts.parse(keyed.admin)}"
    assert body(keyed.ask(owner, "DELETE", path)) == body(keyed.ask(owner, "DELETE", "/v1/keys/nobody"))


def test_a_kept_answer_is_not_given_to_another(keyed: Keyed) -> None:
    keyed.world.store(b"r1")
    ask = {"json": {"model": "iris", "manifest": manifest(model__onnx=b"r1")}, "headers": {"idempotency-key": "same"}}
    actors = [keyed.key("owner"), keyed.key("owner")]
    made = [keyed.ask(actor, "POST", f"{MODEL}/versions", **ask).json() for actor in (*actors, *actors)]
    assert [each["version"] for each in made] == [1, 2, 1, 2]
    assert [each["creator"] for each in made[:2]] == [texts.parse(actor) for actor in actors]


def test_who_fails_again_and_again_is_told_to_wait_and_the_right_key_gets_in(keyed: Keyed) -> None:
    wrong = texts.generate().text
    told = [keyed.ask(wrong, "GET", "/v1/models") for _ in range(7)]
    assert [answer.status_code for answer in told] == [401] * 6 + [429]
    assert int(told[-1].headers["retry-after"]) >= 1
    assert keyed.ask(keyed.admin, "GET", "/v1/models").status_code == 200


def test_each_change_and_each_denied_attempt_is_one_record(keyed: Keyed) -> None:
    viewer = keyed.key("viewer")
    keyed.world.push()
    denied = {"x-request-id": "r-1"}
    assert keyed.ask(viewer, "DELETE", MODEL, headers=denied).status_code == 403
    assert keyed.ask(viewer, "GET", "/v1/models/secret/room").status_code == 404
    assert keyed.ask("", "DELETE", MODEL).status_code == 401
    mine = texts.parse(viewer)
    told = [(each["actor"], each["action"], each["namespace"], each["subject"]) for each in keyed.records("denied")]
    assert told == [
        ("", "authenticate", "", ""),
        (mine, "GET /v1/models/{namespace}/{name}", "secret", "room"),
        (mine, "DELETE /v1/models/{namespace}/{name}", "default", "iris"),
    ]
    assert keyed.records("denied")[-1]["request"] == "r-1"
    done = [(each["actor"], each["action"]) for each in keyed.records("done")]
    root = texts.parse(keyed.admin)
    assert done == [(root, "version.register"), (root, "key.create"), ("local", "key.create")]
    assert keyed.world.get("/v1/audit")["records"] == 6


def test_an_owner_reads_the_records_of_the_own_namespace_only(keyed: Keyed) -> None:
    assert keyed.world.ask("PUT", "/v1/namespaces/other", json={}).status_code == 200
    keyed.world.push(namespace="other")
    keyed.world.push()
    found = keyed.ask(keyed.key("owner", namespace="other"), "GET", "/v1/events").json()["events"]
    assert {each["namespace"] for each in found} == {"other"}
    assert len(found) == 3


def test_a_route_without_a_rule_lets_nobody_through(keyed: Keyed) -> None:
    guard = keyed.world.app._app  # type: ignore[attr-defined]
    assert isinstance(guard, Guard)
    assert keyed.told(keyed.admin, "GET", "/new") == (404, "not_found")
    guard._routes = [*guard._routes, Route("/new", lambda request: None)]
    assert keyed.told(keyed.admin, "GET", "/new") == (500, "internal")
