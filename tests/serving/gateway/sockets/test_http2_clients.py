"""Real clients against the real shell on a real socket: grpcio, curl, nghttp, h2load."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import grpc
import pytest
import uvloop

from shoal.serving.gateway.exchange import Exchange, Rpc, RpcStream, Streaming, Unary, WireLimits
from shoal.serving.gateway.sockets.http2 import Http2Connection

pytestmark = pytest.mark.process

LIMIT = 8 * 1024 * 1024
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Doubler(RpcStream):
    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc

    def on_message(self, message: bytes) -> None:
        self.rpc.send(message)
        self.rpc.send(message)

    def on_end(self) -> None:
        self.rpc.end()


class EchoServer:
    """An echo application on its own loop and thread."""

    def __init__(self) -> None:
        self.port = 0
        self.deadlines: list[float | None] = []
        self.gone = threading.Event()
        self._ready = threading.Event()
        self._connections: set[Http2Connection] = set()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()), name="echo server")

    def __enter__(self) -> EchoServer:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        listener = await self._loop.create_server(lambda: _Entrance(self), "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        listener.close()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0.01)

    def connect(self, transport: asyncio.Transport) -> Http2Connection:
        connection = Http2Connection(
            transport,
            http=self._http,
            rpc={
                b"/t/Echo": Unary(self._echo),
                b"/t/Hang": Unary(self._hang),
                b"/t/Fail": Unary(lambda rpc, message: rpc.fail(9, "b\N{LATIN SMALL LETTER O WITH DIAERESIS}se")),
                b"/t/Chat": Streaming(Doubler),
            },
            limits=WireLimits(body_bytes=LIMIT),
            clock=monotonic,
            on_close=self._connections.discard,
        )
        self._connections.add(connection)
        return connection

    def _echo(self, rpc: Rpc, message: bytes) -> None:
        self.deadlines.append(rpc.deadline)
        rpc.finish(message)

    def _hang(self, rpc: Rpc, message: bytes) -> None:
        rpc.on_gone = self.gone.set

    @staticmethod
    def _http(exchange: Exchange) -> None:
        exchange.respond(200, exchange.body or b'{"ok": true}', headers=[(b"x-target", exchange.target)])


class _Entrance(asyncio.Protocol):
    def __init__(self, server: EchoServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.set_protocol(self._server.connect(transport))  # type: ignore[attr-defined, arg-type]


@pytest.fixture(scope="module")
def server() -> Iterator[EchoServer]:
    with EchoServer() as running:
        yield running


@pytest.fixture
def channel(server: EchoServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", options=UNLIMITED) as opened:
        yield opened


def fails_with(code: grpc.StatusCode) -> contextlib.AbstractContextManager[pytest.ExceptionInfo[grpc.RpcError]]:
    return pytest.raises(grpc.RpcError, check=lambda error: error.code() == code)


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 100_000, 3_000_000, LIMIT])
def test_grpcio_calls_with_messages_of_any_size(channel: grpc.Channel, size: int) -> None:
    message = os.urandom(size)
    assert channel.unary_unary("/t/Echo")(message, timeout=20) == message


def test_grpcio_sends_its_deadline(server: EchoServer, channel: grpc.Channel) -> None:
    before = monotonic()
    channel.unary_unary("/t/Echo")(b"x", timeout=5)
    assert server.deadlines[-1] == pytest.approx(before + 5, abs=1)
    channel.unary_unary("/t/Echo")(b"x")
    assert server.deadlines[-1] is None


def test_grpcio_cancels_at_its_deadline(server: EchoServer, channel: grpc.Channel) -> None:
    server.gone.clear()
    with fails_with(grpc.StatusCode.DEADLINE_EXCEEDED):
        channel.unary_unary("/t/Hang")(b"x", timeout=0.1)
    assert server.gone.wait(5)


def test_grpcio_cancels(server: EchoServer, channel: grpc.Channel) -> None:
    channel.unary_unary("/t/Echo")(b"connected")
    server.gone.clear()
    call = channel.unary_unary("/t/Hang").future(b"x")
    call.cancel()
    assert channel.unary_unary("/t/Echo")(b"next") == b"next"


def test_grpcio_reads_statuses_and_texts(channel: grpc.Channel) -> None:
    with fails_with(grpc.StatusCode.FAILED_PRECONDITION) as raised:
        channel.unary_unary("/t/Fail")(b"x")
    assert raised.value.details() == "b\N{LATIN SMALL LETTER O WITH DIAERESIS}se"
    with fails_with(grpc.StatusCode.UNIMPLEMENTED):
        channel.unary_unary("/t/Nope")(b"x")


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_grpcio_messages_above_the_limit_are_refused_and_the_channel_lives(
    channel: grpc.Channel, compression: grpc.Compression
) -> None:
    echo = channel.unary_unary("/t/Echo")
    with fails_with(grpc.StatusCode.RESOURCE_EXHAUSTED):
        echo(bytes(LIMIT + 1), compression=compression, timeout=20)
    assert echo(b"alive") == b"alive"


@pytest.mark.parametrize("size", [10, 5000, 2_000_000])
def test_grpcio_speaks_gzip(channel: grpc.Channel, size: int) -> None:
    message = b"0123456789" * (size // 10)
    assert channel.unary_unary("/t/Echo")(message, compression=grpc.Compression.Gzip, timeout=10) == message


def test_grpcio_deflate_is_not_spoken(channel: grpc.Channel) -> None:
    with fails_with(grpc.StatusCode.UNIMPLEMENTED):
        channel.unary_unary("/t/Echo")(b"x" * 5000, compression=grpc.Compression.Deflate)


def test_grpcio_streams_both_ways(channel: grpc.Channel) -> None:
    sent = [b"%d" % number * (1 + number * 500) for number in range(50)]
    got = list(channel.stream_stream("/t/Chat")(iter(sent), timeout=10))
    assert got == [message for message in sent for _ in range(2)]


def test_grpcio_metadata_of_a_megabyte_is_refused(server: EchoServer) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", options=UNLIMITED) as channel:
        echo = channel.unary_unary("/t/Echo")
        with pytest.raises(grpc.RpcError):
            echo(b"x", metadata=[("x", "v" * 1_000_000)], timeout=5)
        assert echo(b"alive", wait_for_ready=True, timeout=5) == b"alive"


def test_many_grpcio_calls_at_once(channel: grpc.Channel) -> None:
    echo = channel.unary_unary("/t/Echo")
    calls = [echo.future(b"%d" % number) for number in range(500)]
    assert [call.result(10) for call in calls] == [b"%d" % number for number in range(500)]


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"{name} must be installed where CI runs")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str) -> str:
    async def finish() -> bytes:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), 30)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, out
        return out

    return asyncio.run(finish()).decode()


def test_curl_posts_and_gets(server: EchoServer, tmp_path: Path) -> None:
    curl, url = tool("curl"), f"http://127.0.0.1:{server.port}/v2/x?y=1"
    body = tmp_path / "body"
    body.write_bytes(b"b" * 602_112)
    base = (curl, "-s", "--http2-prior-knowledge", "-w", "|%{http_version}|%{http_code}|%header{x-target}")
    assert run(*base, url) == '{"ok": true}|2|200|/v2/x?y=1'
    assert run(*base, url, "--data-binary", f"@{body}") == "b" * 602_112 + "|2|200|/v2/x?y=1"
    assert run(*base, "--compressed", url, "--data-binary", f"@{body}").startswith("b" * 602_112 + "|2|200")
    assert run(*base, "-I", url).endswith("|2|200|/v2/x?y=1")
    body.write_bytes(gzip.compress(b"zipped"))
    assert run(*base, url, "-H", "content-encoding: gzip", "--data-binary", f"@{body}").startswith("zipped|2|200")
    body.write_bytes(bytes(LIMIT + 1))
    assert "|2|413|" in run(*base, url, "--data-binary", f"@{body}")


def test_nghttp_asks_many_times_on_one_connection(server: EchoServer) -> None:
    out = run(tool("nghttp"), "-nv", "-m", "50", f"http://127.0.0.1:{server.port}/v2")
    assert out.count(":status: 200") == 50
    assert "GOAWAY" not in out.replace("send GOAWAY", "")


@pytest.mark.parametrize("shape", [("-c4", "-m16"), ("-c64", "-m1"), ("-c1", "-m100")])
def test_h2load_loses_nothing(server: EchoServer, shape: tuple[str, str], tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"\0\0\0\0\x0a0123456789")
    headers = ("-H", "content-type: application/grpc", "-H", "te: trailers")
    url = f"http://127.0.0.1:{server.port}/t/Echo"
    out = run(tool("h2load"), "-n3000", *shape, *headers, "-d", str(body), url)
    assert "3000 succeeded, 0 failed, 0 errored, 0 timeout" in out
