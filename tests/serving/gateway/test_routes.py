import pytest

from support.gateway_fakes import Gateway, handle, v2

NAMES = [
    b"%00", b"iris%00", b"..", b"%2e%2e", b"%252e%252e", b"..%2f..%2fetc%2fpasswd", b"%2Fetc%2Fpasswd", b"a%5cb",
    b"ir%C4%B1s", b"iris%7f", b"%EF%BD%89ris", b"%D1%96ris", b"%20iris", b"iris%20", b"iris%0d%0aset-cookie:%20a=b",
    b"iris%1b%5b31m",    b"a" * 256, b"a" * 5000, b"%E2%80%AEiris", b".", b"-iris", b"iris%3Cscript%3E",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_are_refused_everywhere_and_reach_nothing(name: bytes) -> None:
    served = Gateway(handle("iris"))
    targets = [
        ("GET", b"/v2/models/%b"), ("GET", b"/v2/models/%b/ready"), ("GET", b"/v2/models/iris/versions/%b"),
        ("POST", b"/v2/models/%b/infer"), ("POST", b"/v2/models/iris/versions/%b/infer"), ("GET", b"/v1/models/%b"),
        ("POST", b"/v1/models/%b:predict"), ("GET", b"/v2/models/%b/docs"), ("GET", b"/models/%b/app/x"),
        ("POST", b"/v2/repository/models/%b/unload"), ("GET", b"/docs/static/%b"),
    ]  # fmt: skip
    for method, target in targets:
        body = v2() if target.endswith((b"infer", b"predict")) else b""
        answer = served.ask(method, target % name, body).answer
        assert answer.status in (400, 404), (method, target % name, answer)
        assert not any(byte < 0x20 for byte in answer.body)
        assert answer.content_type == b"application/json"
        assert answer.headers[b"x-content-type-options"] == b"nosniff"
        for header, value in answer.header_list:
            assert not any(byte < 0x20 for byte in header + value)
    assert served.models.find("iris").dispatch.calls == []
    assert set(served.refused()) <= {"invalid_input", "not_found"}


def test_unknown_names_never_become_labels() -> None:
    served = Gateway()
    for number in range(300):
        served.get(f"/v2/models/{number}-ghost")
        served.get(f"/nowhere/{number}")
    assert served.refused() == {"not_found": 600}
    assert b"ghost" not in served.get("/metrics").body
    assert served.get("/metrics").body.count(b"shoal_refused_total{") == 1


def test_a_near_name_is_suggested() -> None:
    assert "iris" in Gateway().get("/v2/models/irs").json()["hint"]
    assert "hint" not in Gateway().get("/v2/models/qqqqqq").json()


def test_head_is_answered_like_get() -> None:
    assert Gateway().ask("HEAD", "/v2").answer.status == 200


def test_a_wrong_method_names_the_right_ones() -> None:
    answer = Gateway().ask("DELETE", "/v2/models/iris").answer
    assert (answer.status, answer.headers[b"allow"]) == (405, b"GET, HEAD")
    assert Gateway().get("/v2/repository/index").headers[b"allow"] == b"POST"


def test_a_bug_is_a_500_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    served = Gateway()
    served.models.ready = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    answer = served.get("/v2/health/ready")
    assert answer.status == 500
    assert b"division" not in answer.body
    assert "division" in caplog.text


def test_every_route_answers() -> None:
    served = Gateway()
    for route in served.application.http._table.routes:
        target = route.pattern.replace("{model}", "iris").replace("{file}", "shoal-docs.js").replace("/:", ":")
        target = target.partition("[")[0] + target.partition("]")[2]
        if route.method == "GET":
            assert served.get(target).status == 200, target
        elif "repository/models" not in target:
            body = b'{"inputs":["a"],"instances":["a"]}' if "predict" in target else b""
            assert served.post(target, v2() if "infer" in target else body).status == 200, target
