"""The listener with real sockets: bursts, negotiation, limits, draining, and clients people really use."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
import trustme

from shoal.core.clock import ManualClock
from shoal.core.errors import ConfigError
from shoal.core.metrics import Metrics
from shoal.serving.gateway.exchange import Exchange, WireLimits
from shoal.serving.gateway.sockets import listener as listener_module
from shoal.serving.gateway.sockets.listener import Listener
from shoal.serving.gateway.sockets.tls import server_context
from support.http1_vectors import REFUSED
from support.listening import RawClient, get, listening, post
from support.running import run

CROWDED_SERVER = Path(__file__).parents[3] / "support" / "crowded_server.py"


class Slow:
    """An application that answers when told to."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.gone = 0

    def __call__(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        exchange.on_gone = self._left

    def _left(self) -> None:
        self.gone += 1

    async def until(self, count: int) -> None:
        await until(lambda: len(self.exchanges) >= count)


async def until(condition, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


async def ask(port: int, data: bytes) -> tuple[int, bytes]:
    async with RawClient.connect(port) as client:
        return await client.ask(data)


def test_one_port_answers_and_keeps_the_connection():
    async def main() -> None:
        async with listening() as listener, RawClient.connect(listener.port) as client:
            for i in range(3):
                assert await client.ask(post(b"%d" % i)) == (200, b"%d" % i)
            assert listener.connections == 1

    run(main())


def test_a_thousand_clients_at_once_are_all_answered_within_a_second():
    """A machine that is busy with other things gets three tries: what was wrong would be so each time."""

    async def seconds(port: int) -> float:
        loop = asyncio.get_running_loop()

        async def one(client: socket.socket) -> bytes:
            while True:
                try:
                    await loop.sock_sendall(client, get("/x"))
                    return await loop.sock_recv(client, 1000)
                except BlockingIOError:
                    await asyncio.sleep(0.01)

        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(socket.socket()) for _ in range(1000)]
            started = time.monotonic()
            for client in clients:
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            answers = await asyncio.gather(*map(one, clients))
            took = time.monotonic() - started
        assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
        return took

    async def main() -> None:
        async with listening() as listener:
            tries = [await seconds(listener.port)]
            while tries[-1] >= 1.0 and len(tries) < 3:
                tries.append(await seconds(listener.port))
            assert tries[-1] < 1.0, tries

    run(main())


@pytest.mark.parametrize("size", [1, 5, 24])
def test_http2_is_recognised_in_pieces(size):
    async def main() -> None:
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        async with listening() as listener, RawClient.connect(listener.port) as client:
            for start in range(0, len(preface), size):
                client.send(preface[start : start + size])
                await asyncio.sleep(0.001)
            client.send(b"\0\0\0\4\0\0\0\0\0")  # SETTINGS
            frame = await client.reader.readexactly(9)
            assert frame[3] == 4  # SETTINGS too

    run(main())


def test_a_method_that_begins_like_the_preface_is_http1():
    async def main() -> None:
        async with listening() as listener, RawClient.connect(listener.port) as client:
            client.send(b"P")
            await asyncio.sleep(0.01)
            assert await client.ask(post(b"x")[1:]) == (200, b"x")

    run(main())


@pytest.mark.parametrize(
    "name", ["cl_te", "te_cl", "cl_twice_equal", "bare_lf", "chunk_too_long", "host_missing", "http09"]
)
def test_smuggled_requests_never_run(name):
    async def main() -> None:
        slow = Slow()
        raw, status = REFUSED[name]
        async with listening(slow) as listener, RawClient.connect(listener.port) as client:
            assert (await client.ask(raw))[0] == status
            assert await client.rest() == b""
            assert slow.exchanges == []

    run(main())


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit_is_refused_and_the_client_can_read_why(chunked):
    async def main() -> None:
        limits = WireLimits(body_bytes=1_000_000)
        async with listening(limits=limits) as listener, RawClient.connect(listener.port) as client:
            body = b"x" * 3_000_000
            if chunked:
                client.send(get("/", "Transfer-Encoding: chunked"))
                client.send(b"".join(b"%x\r\n%b\r\n" % (100_000, body[:100_000]) for _ in range(30)))
            else:
                client.send(post(body))
            status, answer = await client.answer()
            assert status == 413
            assert b'"code":"too_large"' in answer
            assert await client.rest() == b""

    run(main())


def test_a_declared_body_is_refused_before_it_is_sent():
    async def main() -> None:
        limits = WireLimits(body_bytes=1000)
        async with listening(limits=limits) as listener, RawClient.connect(listener.port) as client:
            assert (await client.ask(post(b"x" * 1001)[:-1001]))[0] == 413

    run(main())


@pytest.mark.parametrize("reset", [False, True])
def test_clients_that_vanish_free_what_they_held_at_once(reset):
    async def main() -> None:
        slow = Slow()
        async with listening(slow) as listener:
            clients = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(200)]
            for i, client in enumerate(clients):
                client.sendall(post(b"abc") if i % 2 else post(b"abc")[: -(i % 7) - 1])
            await slow.until(100)
            started = time.monotonic()
            for client in clients:
                if reset:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.close()
            await until(lambda: listener.connections == 0)
            assert time.monotonic() - started < 0.5
            assert slow.gone == 100
            for exchange in slow.exchanges:
                exchange.respond(200)  # too late, and of no effect

    run(main())


def test_slow_headers_are_cut_off_and_hurt_nobody(monkeypatch):
    monkeypatch.setattr(listener_module, "_SWEEP_SLICE", 100)

    async def main() -> None:
        clock = ManualClock()
        async with listening(clock=clock) as listener:
            slow = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(300)]
            for client in slow[1:]:
                client.sendall(b"GET / HTTP/1.1\r\nX: ")
            await until(lambda: listener.connections == 300)
            async with RawClient.connect(listener.port) as good:
                times = []
                for _ in range(200):
                    started = time.monotonic()
                    assert await good.ask(get()) == (200, b"/")
                    times.append(time.monotonic() - started)
                assert statistics.median(times) < 0.005
                clock.advance(WireLimits().header_seconds + 1)
                await until(lambda: listener.connections <= 300 and _answered(slow[1:]))
                assert await good.ask(get()) == (200, b"/")
            assert slow[0].recv(10) == b""  # it never said anything, and is told nothing
            for client in slow:
                client.close()

    run(main())


def _answered(clients: list[socket.socket]) -> bool:
    for client in clients:
        client.setblocking(False)
        try:
            if not client.recv(100, socket.MSG_PEEK).startswith(b"HTTP/1.1 408"):
                return False
        except BlockingIOError:
            return False
    return True


def test_too_many_connections_are_told_so():
    async def main() -> None:
        metrics = Metrics()
        async with listening(limits=WireLimits(connections=3), metrics=metrics) as listener:
            async with contextlib.AsyncExitStack() as stack:
                kept = [await stack.enter_async_context(RawClient.connect(listener.port)) for _ in range(3)]
                assert all([await client.ask(get()) == (200, b"/") for client in kept])
                async with RawClient.connect(listener.port) as refused:
                    status, body = await refused.ask(get())
                    assert (status, b"overloaded" in body) == (503, True)
                    assert await refused.rest() == b""
            await until(lambda: listener.connections == 0)
            assert await ask(listener.port, get()) == (200, b"/")
        values = {family.name: family.labels().value for family in metrics.families}
        assert values == {
            "shoal_connections_total": 5,
            "shoal_connections_refused_total": 1,
            "shoal_connections": 0,
        }

    run(main())


@pytest.mark.process
@pytest.mark.parametrize("hogged", [0, 180])
def test_running_out_of_file_descriptors_is_survived(hogged):
    command = [sys.executable, str(CROWDED_SERVER), "256", str(hogged)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = int(server.stdout.readline())
            clients = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(600)]
            answers = []
            for client in clients:
                with contextlib.suppress(ConnectionError):
                    client.sendall(get())
                    answers.append(client.recv(1000)[:12])
            assert answers.count(b"HTTP/1.1 200") >= 30
            assert answers.count(b"HTTP/1.1 503") >= 300
            for client in clients:
                client.close()
            time.sleep(0.2)
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                client.sendall(get())
                assert client.recv(1000).startswith(b"HTTP/1.1 200")
        finally:
            server.stdin.close()
            server.wait(timeout=5)


def test_a_taken_port_is_named():
    async def main() -> None:
        async with listening() as listener:
            other = Listener(host="127.0.0.1", port=listener.port, http=Slow(), rpc={}, limits=WireLimits())
            with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{listener.port} is already in use") as caught:
                await other.start()
            assert "--port" in caught.value.hint
            await other.stop(0)

    run(main())


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_is_named(host):
    async def main() -> None:
        listener = Listener(host=host, port=0, http=Slow(), rpc={}, limits=WireLimits())
        with pytest.raises(ConfigError, match=host):
            await listener.start()

    run(main())


def test_localhost_is_bound_on_all_its_addresses():
    async def main() -> None:
        listener = Listener(host="localhost", port=0, http=Slow(), rpc={}, limits=WireLimits())
        await listener.start()
        socket.create_connection(("127.0.0.1", listener.port)).close()
        await listener.stop(0.2)

    run(main())


def test_stopping_answers_what_is_in_flight_and_drops_nothing():
    async def main() -> None:
        slow = Slow()
        async with listening(slow) as listener, contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(RawClient.connect(listener.port)) for _ in range(20)]
            for client in clients[:10]:
                client.send(get("/flight"))
            await slow.until(10)
            for client in clients[10:15]:
                client.send(get("/on-its-way"))
            stopping = asyncio.create_task(listener.stop(2.0))
            await slow.until(15)
            with pytest.raises(OSError, match=r"refused|Connect"):
                await asyncio.open_connection("127.0.0.1", listener.port)
            for exchange in slow.exchanges:
                exchange.respond(200, b"done")
            answers = [await client.answer() for client in clients[:15]]
            assert answers == [(200, b"done")] * 15
            assert [await client.rest() for client in clients] == [b""] * 20
            await stopping
            assert listener.connections == 0

    run(main())


def test_stopping_cuts_off_what_takes_longer_than_the_grace():
    async def main() -> None:
        slow = Slow()
        async with listening(slow) as listener, RawClient.connect(listener.port) as client:
            client.send(get())
            await slow.until(1)
            started = time.monotonic()
            await listener.stop(0.2)
            assert 0.15 < time.monotonic() - started < 1.0
            assert slow.gone == 1
            assert await client.rest() == b""

    run(main())


def test_a_slow_reader_costs_bounded_memory_and_nobody_else():
    async def main() -> None:
        limits = WireLimits(write_buffer_bytes=100_000)
        answered = 0

        def large(exchange: Exchange) -> None:
            nonlocal answered
            answered += 1
            exchange.respond(200, b"x" * (1_000_000 if exchange.target == b"/large" else 1), b"image/png")

        async with listening(large, limits=limits, grace=0.1) as listener:
            client = socket.create_connection(("127.0.0.1", listener.port))
            client.sendall(get("/large") * 1000)
            assert await ask(listener.port, get("/small")) == (200, b"x")
            await asyncio.sleep(0.1)
            assert answered < 50
            client.close()

    run(main())


def test_curl_posts_gets_and_expects():
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")

    async def main() -> None:
        async with listening() as listener:
            url = f"http://127.0.0.1:{listener.port}/x"

            async def call(*arguments: str, data: bytes = b"") -> bytes:
                process = await asyncio.create_subprocess_exec(
                    curl, "-sS", "--max-time", "5", *arguments, url, stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
                return (await process.communicate(data))[0]

            body = bytes(range(256)) * 8000
            assert await call() == b"/x"
            assert await call("--data-binary", "@-", data=body) == body
            assert await call("-H", "Transfer-Encoding: chunked", "--data-binary", "@-", data=body) == body
            assert b"100 Continue" in await call("-i", "-H", "Expect: 100-continue", "--data-binary", "@-", data=body)
            assert await call("-0", "-d", "old") == b"old"
            assert (await call("-I")).startswith(b"HTTP/1.1 200")

    run(main())


def test_requests_keeps_its_connection_and_reads_gzip():
    def json_app(exchange: Exchange) -> None:
        exchange.respond(200, b"[%b]" % b",".join([b"1"] * 2000))

    def talk(port: int) -> None:
        with requests.Session() as session:
            for _ in range(3):
                answer = session.post(f"http://127.0.0.1:{port}/x", json={"a": 1}, timeout=5)
                assert answer.json() == [1] * 2000
                assert answer.headers["content-encoding"] == "gzip"

    async def main() -> None:
        metrics = Metrics()
        async with listening(json_app, metrics=metrics) as listener:
            await asyncio.to_thread(talk, listener.port)
        assert metrics.families[0].labels().value == 1

    run(main())


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate authority, and the files of a certificate of localhost."""
    authority = trustme.CA()
    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "key.pem").chmod(0o600)
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return authority, folder


@pytest.mark.parametrize(("alpn", "first"), [("http/1.1", b"HTTP"), ("h2", b"\0\0")])
def test_tls_negotiates_the_protocol(authority, alpn, first):
    async def main() -> None:
        ca, folder = authority
        context = server_context(folder / "cert.pem", folder / "key.pem")
        async with listening(ssl_context=context) as listener:
            client_context = ssl.create_default_context()
            ca.configure_trust(client_context)
            async with RawClient.connect(listener.port, tls=client_context, alpn=alpn) as client:
                if alpn == "http/1.1":
                    assert await client.ask(post(b"x" * 500_000)) == (200, b"x" * 500_000)
                    client.send(b"nonsense\r\n\r\n")
                else:
                    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
                assert (await client.reader.readexactly(4)).startswith(first)

    run(main())


def test_requests_speaks_tls(authority):
    async def main() -> None:
        _, folder = authority
        context = server_context(folder / "cert.pem", folder / "key.pem")
        async with listening(ssl_context=context) as listener:
            url = f"https://localhost:{listener.port}/"
            answer = await asyncio.to_thread(requests.post, url, data=b"x", verify=str(folder / "ca.pem"), timeout=5)
            assert answer.content == b"x"
            started = time.monotonic()
            await listener.stop(10)  # that client keeps its connection, and never says goodbye
            assert time.monotonic() - started < 3

    run(main())


def test_clear_text_on_a_tls_port_costs_nobody_anything(authority):
    async def main() -> None:
        _, folder = authority
        context = server_context(folder / "cert.pem", folder / "key.pem")
        async with listening(ssl_context=context, limits=WireLimits(header_seconds=0.3)) as listener:
            async with RawClient.connect(listener.port) as client:
                client.send(get())
                await client.rest()
            async with RawClient.connect(listener.port) as silent:
                await asyncio.wait_for(silent.rest(), 2)

    run(main())
