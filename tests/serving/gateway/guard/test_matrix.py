"""Every route and every gRPC method of the data port, for everybody: each cell is what it is declared to be here.

The routes are those of the application itself. One that is not in the tables below fails the test, as does a cell that
answers otherwise, so nothing can be open, or closed, by oversight.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator

import pytest

from shoal.core._generated import shoal_health_pb2 as health
from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.model import ModelState
from shoal.serving.gateway.exchange import Exchange, Streaming
from shoal.serving.gateway.guard.guard import Guard
from shoal.serving.gateway.guard.needs import HTTP, RPC
from support.access import everyone
from support.gateway_fakes import FakeRpc, Gateway, default_handles, handle, proto, v2

WHO = (
    "",
    "wrong",
    "caller",
    "viewer",
    "engineer",
    "qa",
    "owner",
    "admin",
    "everywhere",
    "foreign",
    "only_iris",
    "nothing",
)
OPEN = "............"
SEE = "11.......4.4"
READ = "113......4.4"
INFER = "11.3....34.4"
OPERATE = "1133.3..343" + "4"
LIST_SEE = "11.........3"
LIST_READ = "113........3"
NODE = "1133333..333"
"""By the holders of `WHO`: `.` it is done, 1: not known, 3: denied, 4: there is no such thing."""

MODEL = "/v2/models/{model}[/versions/{version}]"
V1_MODEL = "/v1/models/{model}[/versions/{version}]"
ROUTES = {
    "GET /": LIST_READ,
    "GET /docs": LIST_READ,
    "GET /docs/static/{file}": LIST_READ,
    "GET /openapi.json": LIST_READ,
    "GET /metrics": NODE,
    "GET /v2": LIST_SEE,
    "GET /v2/health/live": OPEN,
    "GET /v2/health/ready": OPEN,
    "GET /v2/models": LIST_SEE,
    "GET /v2/models/stats": LIST_READ,
    f"GET {MODEL}": SEE,
    f"GET {MODEL}/ready": SEE,
    f"GET {MODEL}/stats": READ,
    f"GET {MODEL}/config": READ,
    f"GET {MODEL}/why": READ,
    f"GET {MODEL}/docs": READ,
    f"GET {MODEL}/openapi.json": READ,
    f"POST {MODEL}/infer": INFER,
    f"POST {MODEL}/predict_all": INFER,
    "GET /v1/models": LIST_SEE,
    f"GET {V1_MODEL}": SEE,
    f"POST {V1_MODEL}/:predict": INFER,
    "POST /v2/repository/index": LIST_SEE,
    "POST /v2/repository/models/{model}/load": OPERATE,
    "POST /v2/repository/models/{model}/unload": OPERATE,
    "* /models/{model}/app": INFER,
}
SERVICE = "/inference.GRPCInferenceService/"
METHODS = {
    f"{SERVICE}ServerLive": (OPEN, pb.ServerLiveRequest()),
    f"{SERVICE}ServerReady": (OPEN, pb.ServerReadyRequest()),
    f"{SERVICE}ServerMetadata": (LIST_SEE, pb.ServerMetadataRequest()),
    f"{SERVICE}ModelReady": (SEE, pb.ModelReadyRequest(name="iris")),
    f"{SERVICE}ModelMetadata": (SEE, pb.ModelMetadataRequest(name="iris")),
    f"{SERVICE}ModelConfig": (READ, pb.ModelConfigRequest(name="iris")),
    f"{SERVICE}ModelStatistics": (READ, pb.ModelStatisticsRequest(name="iris")),
    f"{SERVICE}ModelInfer": (INFER, proto()),
    f"{SERVICE}RepositoryIndex": (LIST_SEE, pb.RepositoryIndexRequest()),
    f"{SERVICE}RepositoryModelLoad": (OPERATE, pb.RepositoryModelLoadRequest(model_name="iris")),
    f"{SERVICE}RepositoryModelUnload": (OPERATE, pb.RepositoryModelUnloadRequest(model_name="iris")),
    "/grpc.health.v1.Health/Check": (OPEN, health.HealthCheckRequest()),
    "/grpc.health.v1.Health/Watch": (OPEN, health.HealthCheckRequest()),
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": (LIST_SEE, pb.ServerLiveRequest()),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": (LIST_SEE, pb.ServerLiveRequest()),
}
ONLY_IRIS = WHO.index("only_iris")
BODIES = {
    "infer": v2(),
    "predict_all": b'{"inputs": ["a"]}',
    ":predict": b'{"instances": [[1, 2, 3, 4]]}',
}
HOLDERS = everyone()
HEADERS = {name: HOLDERS.headers(name) for name in WHO if name not in ("", "wrong")}
HEADERS[""] = {}
HEADERS["wrong"] = {b"authorization": b"Bearer nonsense"}


class FakeApp:
    """A full-custom app that says what it was sent."""

    def handle(self, exchange: Exchange, rest_of_path: bytes, hidden: frozenset[bytes], *, seconds: float) -> None:
        exchange.respond(200, json.dumps([name.decode() for name in exchange.headers if name not in hidden]).encode())


class World(Gateway):
    """A gateway whose guard knows all holders; wrong keys come from ever other addresses, or they would be held up."""

    def __init__(self) -> None:
        guard = Guard()
        guard.replace(HOLDERS.table)
        super().__init__(*default_handles(), handle("secret@elsewhere"), apps={"iris": FakeApp()}, guard=guard)  # type: ignore[dict-item]
        guard._attempts.failed = lambda source: None  # type: ignore[method-assign]

    async def status(self, method: str, target: str, who: str) -> int:
        self.wake()
        body = next((body for end, body in BODIES.items() if target.endswith(end)), b"")
        exchange = self.ask(method, target, body, HEADERS[who])
        await settled(lambda: bool(exchange.answers))
        return exchange.answer.status

    async def code(self, path: str, message: bytes, who: str) -> int:
        self.wake()
        rpc = FakeRpc(HEADERS[who])
        method = self.application.rpc[path.encode()]
        if isinstance(method, Streaming):
            stream = method.open(rpc)
            if rpc.failure is None:
                stream.on_message(message)
        else:
            method.handle(rpc, message)
        await settled(lambda: bool(rpc.finished or rpc.sent or rpc.failure))
        return rpc.code

    def wake(self) -> None:
        for each in self.models.handles:
            each.state = ModelState.READY


async def settled(done: object) -> None:
    """Let tasks run until there is an answer."""
    assert callable(done)
    async with asyncio.timeout(10):
        while not done():
            await asyncio.sleep(0)


def targets(pattern: str) -> Iterator[tuple[str, bool]]:
    """Paths of a pattern, and whether each is about iris."""
    filled = pattern.replace("{file}", "shoal-docs.js").replace("/:predict", ":predict")
    yield re.sub(r"\[.*?\]", "", filled).replace("{model}", "iris"), True
    if "[" in filled or "{model}" in filled:
        other = filled.replace("[", "").replace("]", "").replace("{model}", "digits").replace("{version}", "1")
        if "app" not in pattern:
            yield other, False


def cell(status: int) -> str:
    return {401: "1", 403: "3", 404: "4"}.get(status, "." if status == 200 else f"<{status}>")


def expected(cells: str, about_iris: bool) -> str:
    """Who may see iris alone finds no other model."""
    if about_iris or cells in (OPEN, LIST_SEE, LIST_READ, NODE):
        return cells
    return cells[:ONLY_IRIS] + "4" + cells[ONLY_IRIS + 1 :]


def test_every_cell_of_http_is_as_declared() -> None:
    async def main() -> dict[str, tuple[str, str]]:
        served, wrong = World(), {}
        found = {f"{route.method} {route.pattern}" for route in served.application.router.routes}
        assert found == set(ROUTES) == set(HTTP)
        for _ in range(2):  # the second time known paths go the hot way
            for name, cells in ROUTES.items():
                method, pattern = name.replace("*", "GET").split(" ")
                for target, about_iris in targets(pattern):
                    got = "".join([cell(await served.status(method, target, who)) for who in WHO])
                    if got != expected(cells, about_iris):
                        wrong[f"{method} {target}"] = got, expected(cells, about_iris)
        await served.application.close()
        return wrong

    assert asyncio.run(main()) == {}


def test_every_cell_of_grpc_is_as_declared() -> None:
    codes = {16: "1", 7: "3", 5: "4", 0: "."}

    async def main() -> dict[str, tuple[str, str]]:
        served, wrong = World(), {}
        assert {path.decode() for path in served.application.rpc} == set(METHODS) == set(RPC)
        for _ in range(2):
            for path, (cells, message) in METHODS.items():
                raw = message.SerializeToString()
                got = "".join([codes.get(await served.code(path, raw, who), "?") for who in WHO])
                if got != cells:
                    wrong[path] = got, cells
        await served.application.close()
        return wrong

    assert asyncio.run(main()) == {}


def test_only_health_is_open() -> None:
    assert {name for name, cells in ROUTES.items() if cells == OPEN} == {"GET /v2/health/live", "GET /v2/health/ready"}
    opened = {path for path, (cells, _) in METHODS.items() if cells == OPEN}
    assert opened == {
        f"{SERVICE}ServerLive",
        f"{SERVICE}ServerReady",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
    }


def test_other_methods_of_a_route_and_other_paths_do_nothing() -> None:
    served = World()
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "GET", "POST"):
        for route in served.application.router.routes:
            if route.method in ("*", method):
                continue
            for target, _ in targets(route.pattern):
                assert served.ask(method, target).answer.status in (401, 404, 405), (method, target)


# What is told between the lines


@pytest.mark.parametrize("target", ["/v2/models/{}", "/v2/models/{}/stats", "/v1/models/{}", "/v2/models/{}/why"])
def test_a_foreign_model_answers_as_one_that_does_not_exist(target: str) -> None:
    served = World()
    for who in ("owner", "only_iris", "caller"):
        for real, unreal in (("secret@elsewhere", "absent@elsewhere"),):
            one = served.ask("GET", target.format(real), headers={**HEADERS[who], b"x-request-id": b"1"}).answer
            two = served.ask("GET", target.format(unreal), headers={**HEADERS[who], b"x-request-id": b"1"}).answer
            assert one.status == two.status == 404
            assert one.body.replace(b"secret", b"absent") == two.body
            assert one.header_list == two.header_list


def test_a_foreign_model_is_not_looked_for_elsewhere() -> None:
    served = World()
    served.models.elsewhere[("hidden@elsewhere", "")] = handle("hidden@elsewhere")
    served.models.finds = 0
    for method, target in (("GET", "/v2/models/hidden@elsewhere"), ("POST", "/v2/models/hidden@elsewhere/infer")):
        assert served.ask(method, target, v2(), HEADERS["owner"]).answer.status == 404
    assert served.infer(proto("hidden@elsewhere").SerializeToString(), FakeRpc(HEADERS["owner"])).code == 5
    check = health.HealthCheckRequest(service="hidden@elsewhere").SerializeToString()
    assert served.call("/grpc.health.v1.Health/Check", check, FakeRpc()).code == 5
    assert served.models.finds == 0


def test_no_list_and_no_hint_tells_of_foreign_models() -> None:
    async def main() -> None:
        served = World()
        for who in ("owner", "only_iris", "caller", "foreign"):
            mine = served.ask("GET", "/v2/models", headers=HEADERS[who]).answer.body
            assert (b"secret" in mine) is (who == "foreign")
            assert (b"digits" in mine) is (who in ("owner", "caller"))
            for method, target in (
                ("GET", "/"), ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/v2/models/stats"), ("GET", "/v1/models"),
                ("POST", "/v2/repository/index"), ("GET", "/v2/models/secre"), ("GET", "/v2/models/secret"),
                ("GET", "/v2/models/digit"), ("POST", "/v2/models/digit/infer"),
            ):  # fmt: skip
                exchange = served.ask(method, target, v2() if "infer" in target else b"", HEADERS[who])
                await settled(lambda exchange=exchange: bool(exchange.answers))
                told = exchange.answer.body.replace(b"no model 'secret'", b"")
                assert b"secret@" not in told or who == "foreign", (who, target)
                if who == "only_iris":
                    assert b"digits" not in told, target
            index = pb.RepositoryIndexRequest().SerializeToString()
            listed = served.call(f"{SERVICE}RepositoryIndex", index, FakeRpc(HEADERS[who]))
            assert (b"secret" in listed.finished[0]) is (who == "foreign")
            stats = served.call(f"{SERVICE}ModelStatistics", b"", FakeRpc(HEADERS[who]))
            assert not stats.finished or (b"secret" in stats.finished[0]) is (who == "foreign")
        await served.application.close()

    asyncio.run(main())


def test_health_of_a_model_is_told_to_those_who_may_see_it() -> None:
    async def main() -> None:
        served = World()
        check = health.HealthCheckRequest(service="iris").SerializeToString()
        for who, code in (("", 5), ("wrong", 5), ("foreign", 5), ("caller", 0), ("only_iris", 0)):
            assert served.call("/grpc.health.v1.Health/Check", check, FakeRpc(HEADERS[who])).code == code
            rpc = FakeRpc(HEADERS[who])
            method = served.application.rpc[b"/grpc.health.v1.Health/Watch"]
            assert isinstance(method, Streaming)
            method.open(rpc).on_message(check)
            status = health.HealthCheckResponse.FromString(rpc.sent[0]).status
            assert status == (
                health.HealthCheckResponse.SERVICE_UNKNOWN if code else health.HealthCheckResponse.SERVING
            )
        await served.application.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "path",
    [
        "/ns/elsewhere/v2/models/secret",
        "/ns/elsewhere/v2/models/secret/infer",
        "/ns/elsewhere/v1/models/secret:predict",
        "/ns/default/v2/models/secret@elsewhere",
        "/v2/models/secret@elsewhere",
        "/v2/models/secret%40elsewhere",
        "/v2/models/secret+production@elsewhere",
    ],
)
def test_no_spelling_of_an_address_leads_around_its_namespace(path: str) -> None:
    served = World()
    for who, found in (("owner", False), ("only_iris", False), ("foreign", True)):
        method, body = ("POST", v2()) if path.endswith("infer") else ("GET", b"")
        if path.endswith(":predict"):
            method, body = "POST", BODIES[":predict"]
        for _ in range(2):
            status = served.ask(method, path, body, HEADERS[who]).answer.status
            assert status in ((200, 400, 404) if found else (400, 404)), (who, path, status)
            assert found or served.models.find("secret@elsewhere").dispatch.calls == []


def test_metadata_with_a_namespace_asks_for_what_it_names() -> None:
    served = World()
    named = proto("secret").SerializeToString()
    for who, code in (("foreign", 0), ("owner", 5), ("foreign", 0), ("only_iris", 5), ("viewer", 5)):
        metadata = {**HEADERS[who], b"shoal-namespace": b"elsewhere"}
        assert served.infer(named, FakeRpc(metadata)).code == code
        for method, request in (
            ("ModelMetadata", pb.ModelMetadataRequest(name="secret")),
            ("RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="secret")),
        ):
            if method == "ModelMetadata" or code:
                asked = served.call(SERVICE + method, request.SerializeToString(), FakeRpc(metadata))
                assert asked.code == code, (who, method)


def test_an_app_does_not_get_to_see_the_callers_key() -> None:
    headers = {**HEADERS["caller"], b"x-api-key": b"other", b"cookie": b"a=b"}
    assert World().ask("GET", "/models/iris/app/x", headers=headers).answer.json() == ["cookie"]


def test_nothing_is_parsed_before_it_is_known_who_asks() -> None:
    served = World()
    for path, (cells, _) in METHODS.items():
        method = served.application.rpc[path.encode()]
        if cells != OPEN and not isinstance(method, Streaming):
            assert served.call(path, b"\xff\xff\xff", FakeRpc()).code == 16, path


def test_a_call_counts_to_its_callers_tenant() -> None:
    served = World()
    served.ask("POST", "/v2/models/iris/infer", v2(), HEADERS["caller"])
    served.infer(proto().SerializeToString(), FakeRpc(HEADERS["owner"]))
    assert [call.tenant for call in served.models.find("iris").dispatch.calls] == ["tenant-caller", "tenant-owner"]


def test_the_document_of_the_models_says_that_a_key_is_needed() -> None:
    document = World().ask("GET", "/openapi.json", headers=HEADERS["viewer"]).answer.json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["security"] == [{"key": []}]
    assert "security" not in Gateway().get("/openapi.json").json()


def test_a_revoked_key_ends_on_every_way_at_once() -> None:
    served = World()
    target = "/v2/models/iris/infer"
    assert served.ask("POST", target, v2(), HEADERS["caller"]).answer.status == 200
    assert served.infer(proto().SerializeToString(), FakeRpc(HEADERS["caller"])).code == 0
    guard = served.application.router._guard
    guard.replace(everyone().table)
    assert served.ask("POST", target, v2(), HEADERS["caller"]).answer.status == 401
    assert served.infer(proto().SerializeToString(), FakeRpc(HEADERS["caller"])).code == 16
