import asyncio

import pytest

from shoal.core.errors import ConfigError, ModelError
from shoal.core.model import ModelState
from shoal.serving.gateway.endpoints import repository
from support.gateway_fakes import FakeExchange, Gateway, HttpAnswer, handle


def later(served: Gateway, *asks: tuple[str, bytes], wait: int = 5) -> list[HttpAnswer]:
    """Answers of routes that work in tasks."""

    async def run() -> list[HttpAnswer]:
        exchanges = [served.ask("POST", target, body) for target, body in asks]
        for _ in range(wait):
            await asyncio.sleep(0)
        await served.application.close()
        return [exchange.answer for exchange in exchanges]

    return asyncio.run(run())


LOAD, UNLOAD = "/v2/repository/models/iris/load", "/v2/repository/models/iris/unload"


def test_server_metadata_names_what_works() -> None:
    body = Gateway().get("/v2").json()
    assert body["name"] == "shoal"
    assert set(body["extensions"]) == {
        "binary_tensor_data", "model_repository", "model_configuration", "schedule_policy", "statistics", "predict_all",
    }  # fmt: skip


def test_model_metadata_with_and_without_versions() -> None:
    served = Gateway()
    assert served.get("/v2/models/iris").json() == {
        "name": "iris",
        "platform": "fake_echo",
        "inputs": [{"name": "input-0", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "p", "datatype": "FP32", "shape": [-1, 3]},
        ],
    }
    assert served.get("/v2/models/digits").json()["versions"] == ["1", "2"]
    assert served.get("/v2/models/digits/versions/9").status == 404


@pytest.mark.parametrize(
    ("states", "ready"),
    [
        ([], True),
        ([ModelState.READY], True),
        ([ModelState.READY, ModelState.UNAVAILABLE], True),
        ([ModelState.READY, ModelState.LOADING], False),
        ([ModelState.UNAVAILABLE], False),
    ],
)
def test_the_node_is_ready_when_nothing_loads_and_something_answers(states: list[ModelState], ready: bool) -> None:
    served = Gateway(handle("x"))
    served.models.handles = [handle(f"m{number}", state=state) for number, state in enumerate(states)]
    answer = served.get("/v2/health/ready")
    assert (answer.status, answer.json()) == (200 if ready else 503, {"ready": ready})
    assert (b"retry-after" in answer.headers) is not ready
    assert served.get("/v2/health/live").json() == {"live": True}


def test_a_node_that_drains_is_not_ready() -> None:
    served = Gateway()
    served.application.health.draining = True
    assert served.get("/v2/health/ready").status == 503
    assert served.get("/v2/health/live").status == 200


def test_model_ready() -> None:
    served = Gateway(handle("iris"), handle("broken", state=ModelState.UNAVAILABLE, reason="no file"))
    assert served.get("/v2/models/iris/ready").json() == {"name": "iris", "ready": True}
    answer = served.get("/v2/models/broken/ready")
    assert (answer.status, answer.json()) == (503, {"name": "broken", "ready": False, "reason": "no file"})
    assert served.get("/v2/models/none/ready").status == 404


def test_statistics_of_all_of_one_and_of_a_version() -> None:
    served = Gateway()
    for target, count in [
        ("/v2/models/stats", 4),
        ("/v2/models/digits/stats", 2),
        ("/v2/models/digits/versions/1/stats", 1),
    ]:
        stats = served.get(target).json()["model_stats"]
        assert len(stats) == count
        assert stats[0]["inference_count"] == 3
    assert served.get("/v2/models/none/stats").status == 404


def test_the_configuration_speaks_of_batches_only_if_there_are_any() -> None:
    served = Gateway(handle("iris"), handle("single", batchable=False))
    assert served.get("/v2/models/iris/config").json()["max_batch_size"] == 8
    assert served.get("/v2/models/iris/config").json()["input"] == [
        {"name": "input-0", "data_type": "TYPE_FP32", "dims": [4]}
    ]
    single = served.get("/v2/models/single/config").json()
    assert (single["max_batch_size"], single["input"][0]["dims"]) == (0, [-1, 4])
    assert "dynamic_batching" not in single


def test_v1_status_is_understood_by_both_kinds_of_clients() -> None:
    served = Gateway(handle("digits", "1", state=ModelState.UNAVAILABLE, reason="gone"), handle("digits", "2"))
    body = served.get("/v1/models/digits").json()
    assert (body["name"], body["ready"]) == ("digits", True)
    states = [(each["version"], each["state"]) for each in body["model_version_status"]]
    assert states == [("1", "END"), ("2", "AVAILABLE")]
    assert len(served.get("/v1/models/digits/versions/1").json()["model_version_status"]) == 1
    assert served.get("/v1/models").json() == {"models": ["digits"]}


def test_the_index_lists_all_or_what_is_ready() -> None:
    served = Gateway(handle("iris"), handle("broken", "3", state=ModelState.UNAVAILABLE, reason="no file"))
    assert served.post("/v2/repository/index").json() == [
        {"name": "iris", "state": "READY", "reason": ""},
        {"name": "broken", "version": "3", "state": "UNAVAILABLE", "reason": "no file"},
    ]
    assert [each["name"] for each in served.post("/v2/repository/index", '{"ready":true}').json()] == ["iris"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"ready":"yes"}', 400),
        (b"[" * 200 + b"]" * 200, 400),
        (b" " * (1 << 20) + b"{}", 413),
        (b"\xff", 400),
    ],
)
def test_wrong_bodies_are_refused(body: bytes, status: int) -> None:
    assert Gateway().post("/v2/repository/index", body).status == status


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"])
def test_what_a_foreign_web_page_can_send_changes_nothing(content_type: str) -> None:
    served = Gateway()
    assert served.post(UNLOAD, b"", content_type=content_type).status == 415
    assert served.models.find("iris").state is ModelState.READY


@pytest.mark.parametrize("site", [b"cross-site", b"same-site"])
def test_what_a_browser_marks_as_foreign_changes_nothing(site: bytes) -> None:
    served = Gateway()
    assert served.ask("POST", UNLOAD, b"", {b"sec-fetch-site": site}).answer.status == 403
    assert served.models.find("iris").state is ModelState.READY


def test_unload_and_load() -> None:
    served = Gateway()
    assert [(each.status, each.body) for each in later(served, (UNLOAD, b"{}"))] == [(200, b"")]
    assert served.models.find("iris").state is ModelState.UNAVAILABLE
    assert later(served, (LOAD, b'{"parameters":{"config":"{}"}}'))[0].status == 200
    assert served.models.loads == [("iris", "{}")]


@pytest.mark.parametrize(
    ("body", "error", "status"),
    [
        (b'{"parameters":{"file:1/model.onnx":"AAAA"}}', None, 501),
        (b'{"parameters":{"config":1}}', None, 400),
        (b'{"parameters":{"config":[]}}', None, 400),
        (b"{}", ConfigError("limits.workers is not a number", field="limits.workers"), 400),
        (b"{}", ModelError("it raised"), 502),
        (b"{}", ZeroDivisionError("secret"), 500),
    ],
)
def test_what_cannot_be_loaded_says_why(body: bytes, error: Exception | None, status: int) -> None:
    served = Gateway()
    served.models.load_error = error
    (answer,) = later(served, (LOAD, body))
    assert answer.status == status
    assert b"secret" not in answer.body


def test_loading_what_is_not_there_is_not_found() -> None:
    (answer,) = later(Gateway(), ("/v2/repository/models/irs/load", b""))
    assert (answer.status, answer.json()["hint"]) == (404, "did you mean iris?")


def test_loads_are_bounded_and_end_with_the_node() -> None:
    served = Gateway()
    never = asyncio.Event

    async def hang(name: str, config: str | None = None) -> None:
        await never().wait()

    served.models.load = hang  # type: ignore[method-assign]

    async def run() -> list[FakeExchange]:
        exchanges = [served.ask("POST", LOAD) for _ in range(repository.AT_ONCE + 1)]
        await asyncio.sleep(0)
        await served.application.close()
        return exchanges

    *waiting, last = asyncio.run(run())
    assert (last.answer.status, last.answer.json()["code"]) == (503, "overloaded")
    assert {each.answer.status for each in waiting} == {503}


def test_metrics_are_prometheus_text() -> None:
    answer = Gateway().get("/metrics")
    assert answer.content_type == b"text/plain; version=0.0.4; charset=utf-8"
