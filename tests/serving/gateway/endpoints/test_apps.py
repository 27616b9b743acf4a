"""A real ASGI-like server on a Unix socket, in the test's own loop."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import InvalidInput
from shoal.core.model import ModelState
from shoal.serving.gateway.endpoints import apps
from shoal.serving.gateway.endpoints.app_wire import AnswerReader, BadAnswer, request_bytes
from shoal.serving.gateway.endpoints.apps import AppProxy, socket_name
from support.gateway_fakes import FakeExchange, Gateway, handle

Scene = Callable[[Gateway, AppProxy], Awaitable[None]]


class App:
    """Answers each request with prepared bytes and remembers what it was asked."""

    def __init__(self, answer: bytes, *, close: bool = False, hang: bool = False) -> None:
        self.answer = answer
        self.close = close
        self.hang = hang
        self.requests: list[bytes] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                self.requests.append(head + await reader.readexactly(length))
                if self.hang:
                    await reader.read()
                writer.write(self.answer)
                if self.close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def play(
    app: App | None, scene: Scene, tmp_path: Path, *, timeout: float = 60.0, second: App | None = None, **settings: int
) -> None:
    """One app, or two processes of it, of which the first is asked first."""

    async def run() -> None:
        paths = [str(tmp_path / "app.sock"), str(tmp_path / "second.sock")]
        listening = [(each, path) for each, path in zip((app, second), paths, strict=True) if each is not None]
        servers = [await asyncio.start_unix_server(each.serve, path) for each, path in listening]
        proxy = AppProxy(lambda: paths, **settings)
        served = Gateway(handle("iris", timeout=timeout), apps={"iris": proxy})
        await scene(served, proxy)
        await proxy.close()
        await served.application.close()
        for server in servers:
            server.close()
        for _ in range(10):
            await asyncio.sleep(0)

    asyncio.run(run())


async def ask(served: Gateway, method: str, target: str, body: bytes = b"", **headers: bytes) -> FakeExchange:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    exchange = served.ask(method, target, body, named)
    while not exchange.answers:
        await asyncio.sleep(0.001)
    return exchange


OK = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Own: 1\r\n"
    b"Connection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"
)


def test_requests_go_through_on_one_connection(tmp_path: Path) -> None:
    app = App(OK)

    async def scene(served: Gateway, proxy: AppProxy) -> None:
        for _ in range(3):
            exchange = await ask(
                served, "POST", "/models/iris/app/a%20b/c?x=1", b"body", host=b"h", connection=b"x-drop", x_drop=b"1",
                accept_encoding=b"br", content_encoding=b"gzip", te=b"trailers", x_keep=b"2",
            )  # fmt: skip
            answer = exchange.answer
            assert (answer.status, answer.body, answer.content_type) == (200, b"hello", b"text/plain")
            assert answer.headers == {b"x-own": b"1"}

    play(app, scene, tmp_path)
    assert app.connections == 1
    lines = app.requests[0].split(b"\r\n")
    assert lines[0] == b"POST /a%20b/c?x=1 HTTP/1.1"
    assert sorted(lines[1:-2]) == [
        b"content-length: 4",
        b"host: h",
        b"x-forwarded-prefix: /models/iris/app",
        b"x-keep: 2",
    ]
    assert lines[-1] == b"body"


@pytest.mark.parametrize("target", ["/models/iris/app", "/models/iris/app/", "/models/iris/app?x=1"])
def test_the_mount_itself_is_the_apps_root(target: str, tmp_path: Path) -> None:
    app = App(OK)

    async def scene(served: Gateway, proxy: AppProxy) -> None:
        assert (await ask(served, "GET", target)).answer.status == 200

    play(app, scene, tmp_path)
    assert app.requests[0].startswith(b"GET /?x=1 " if "?" in target else b"GET / ")
    assert b"x-forwarded-prefix: /models/iris/app\r\n" in app.requests[0]


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", 404, b""),
        (b"HTTP/1.1 204 No\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, b"abc"),
        (b"HTTP/1.1 103 Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nz", 200, b"z"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", 502, None),
        (b"rubbish\r\n\r\n", 502, None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n" + b"x" * 99, 502, None),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300 + b"\r\n", 502, None),
        (b"", 503, None),
    ],
)
def test_answers_of_all_kinds(answer: bytes, status: int, body: bytes | None, tmp_path: Path) -> None:
    async def scene(served: Gateway, proxy: AppProxy) -> None:
        exchange = await ask(served, "POST", "/models/iris/app/")
        assert exchange.answer.status == status
        assert body is None or exchange.answer.body == body

    play(App(answer, close=True), scene, tmp_path, max_answer=64)


def test_head_has_no_body_whatever_its_length_says(tmp_path: Path) -> None:
    async def scene(served: Gateway, proxy: AppProxy) -> None:
        assert (await ask(served, "HEAD", "/models/iris/app/")).answer.body == b""

    play(App(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"), scene, tmp_path)


def test_an_app_that_is_down_or_slow_hurts_its_callers_only(tmp_path: Path) -> None:
    async def down(served: Gateway, proxy: AppProxy) -> None:
        answer = (await ask(served, "GET", "/models/iris/app/")).answer
        assert (answer.status, answer.headers[b"retry-after"]) == (503, b"1")
        assert served.get("/v2/models/iris").status == 200

    async def slow(served: Gateway, proxy: AppProxy) -> None:
        assert (await ask(served, "GET", "/models/iris/app/")).answer.status == 504

    play(None, down, tmp_path)
    play(App(OK, hang=True), slow, tmp_path, timeout=0.05)


def test_a_client_that_leaves_frees_its_place(tmp_path: Path) -> None:
    async def scene(served: Gateway, proxy: AppProxy) -> None:
        exchanges = [served.ask("GET", "/models/iris/app/") for _ in range(apps.CONNECTIONS)]
        assert served.get("/models/iris/app/").status == 503
        await asyncio.sleep(0.01)
        for exchange in exchanges:
            assert exchange.on_gone is not None
            exchange.on_gone()
        await asyncio.sleep(0.01)
        assert proxy._open == 0
        assert all(not exchange.answers for exchange in exchanges)

    play(App(OK, hang=True), scene, tmp_path)


def test_a_kept_connection_that_was_closed_is_replaced(tmp_path: Path) -> None:
    app = App(OK, close=True)

    async def scene(served: Gateway, proxy: AppProxy) -> None:
        for _ in range(3):
            assert (await ask(served, "GET", "/models/iris/app/")).answer.status == 200
            await asyncio.sleep(0.005)

    play(app, scene, tmp_path)
    assert app.connections == 3


def test_where_the_first_does_not_listen_the_second_is_asked_until_the_first_is_back(tmp_path: Path) -> None:
    first, second = App(OK), App(OK.replace(b"hello", b"other"))

    async def scene(served: Gateway, proxy: AppProxy) -> None:
        for _ in range(2):
            assert (await ask(served, "POST", "/models/iris/app/")).answer.body == b"other"
        (tmp_path / "app.sock").unlink(missing_ok=True)
        server = await asyncio.start_unix_server(first.serve, tmp_path / "app.sock")
        assert (await ask(served, "POST", "/models/iris/app/")).answer.body == b"hello"
        server.close()

    play(None, scene, tmp_path, second=second)
    assert (first.connections, second.connections) == (1, 1)


def test_what_the_first_may_have_done_is_not_asked_of_the_second(tmp_path: Path) -> None:
    second = App(OK)

    async def scene(served: Gateway, proxy: AppProxy) -> None:
        assert (await ask(served, "POST", "/models/iris/app/")).answer.status == 503

    play(App(b"", close=True), scene, tmp_path, second=second)
    assert not second.requests


def test_an_app_that_is_ended_tells_its_callers(tmp_path: Path) -> None:
    async def scene(served: Gateway, proxy: AppProxy) -> None:
        early = served.ask("GET", "/models/iris/app/")
        await asyncio.sleep(0.01)
        late = served.ask("GET", "/models/iris/app/")
        await proxy.close()
        for exchange in (early, late):
            assert (exchange.answer.status, exchange.answer.headers[b"retry-after"]) == (503, b"1")
        assert proxy._open == 0

    play(App(OK, hang=True), scene, tmp_path)


def test_a_client_that_leaves_at_once_frees_its_place(tmp_path: Path) -> None:
    async def scene(served: Gateway, proxy: AppProxy) -> None:
        exchange = served.ask("GET", "/models/iris/app/")
        assert exchange.on_gone is not None
        exchange.on_gone()
        await asyncio.sleep(0.01)
        assert (proxy._open, exchange.answers) == (0, [])

    play(App(OK), scene, tmp_path)


def test_a_model_whose_app_is_not_running_is_told_from_one_that_has_none() -> None:
    named, asleep, plain = handle("named"), handle("asleep"), handle("plain")
    named.spec = msgspec.structs.replace(named.spec, app="web:app")
    asleep.state = ModelState.UNAVAILABLE
    served = Gateway(named, asleep, plain)
    for name in ("named", "asleep"):
        answer = served.get(f"/models/{name}/app/")
        assert (answer.status, answer.headers[b"retry-after"]) == (503, b"1")
        assert "no app" in answer.json()["error"]
    assert served.get("/models/plain/app/").status == 404


def test_a_model_that_is_not_known_here_is_looked_for(tmp_path: Path) -> None:
    async def run() -> None:
        served = Gateway()
        found = handle("found")
        found.spec = msgspec.structs.replace(found.spec, app="web:app")
        served.models.elsewhere["found", ""] = found
        assert (await ask(served, "GET", "/models/found/app/")).answer.status == 503
        await served.application.close()

    asyncio.run(run())


@given(st.text(min_size=1, max_size=255))
def test_the_name_of_a_socket_is_short_and_leads_nowhere_else(model: str) -> None:
    assert re.fullmatch("[a-z2-7]{13}", socket_name(model))


@pytest.mark.parametrize("target", ["/models/ghost/app/", "/models/../app/", "/models/iris/other"])
def test_what_is_no_app_is_refused(target: str) -> None:
    assert Gateway().get(target).status in (400, 404)


@pytest.mark.parametrize("headers", [{b"a": b"b\r\nx: y"}, {b"a\r\nb": b"c"}, {b"a": b"\0"}])
def test_headers_cannot_smuggle(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(InvalidInput):
        request_bytes(FakeExchange("GET", "/models/iris/app/", headers=headers), b"/")


@given(st.binary(max_size=200), st.booleans())
def test_the_reader_takes_any_bytes(noise: bytes, prefixed: bool) -> None:
    reader = AnswerReader(head_only=False, limit=100)
    try:
        for part in (b"HTTP/1.1 200 OK\r\n" * prefixed, noise, b""):
            if not reader.done and (part or part is noise or part == b""):
                reader.feed(part)
    except (BadAnswer, ConnectionResetError):
        return
    assert reader.done
