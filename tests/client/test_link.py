"""One connection, whatever the server does with it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import trustme

from shoal.client import AsyncClient, Retries, Tensor, Tls
from shoal.core.errors import Cancelled, ConfigError, DeadlineExceeded, InvalidInput, ShoalError, TooLarge, Unavailable
from shoal.core.types import InferenceResponse
from shoal.core.wire import v2_json
from shoal.core.wire.http2 import Limits
from support.h2_server import Answer, H2Server, Request

ONE = [Tensor("x", [1], "INT64", np.array([7]))]


def echo(request: Request) -> Answer:
    """Answers an inference (JSON) with its first input."""
    inference = v2_json.decode_request(request.body)
    outputs = [Tensor("y", each.shape, each.datatype, each.data) for each in inference.inputs[:1]]
    return Answer(body=v2_json.encode_response(InferenceResponse(outputs, "m")))


async def echoing(request: Request) -> Answer:
    return echo(request)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def infer(client: AsyncClient, model: str = "m", **more: object) -> int:
    response = await client.infer(model, ONE, binary=False, **more)
    return int(response.outputs[0].as_numpy()[0])


def test_many_calls_share_one_connection() -> None:
    async def scenario() -> None:
        async with H2Server(echoing) as server, AsyncClient(server.url) as client:
            answers = await asyncio.gather(*(infer(client, f"m{number % 10}") for number in range(200)))
            assert answers == [7] * 200
            assert len(server.peers) == 1

    run(scenario)


def test_a_slow_call_holds_no_fast_one_up() -> None:
    async def scenario() -> None:
        freed = asyncio.Event()

        async def handler(request: Request) -> Answer:
            if b"slow" in request.head.path:
                await freed.wait()
            return echo(request)

        async with H2Server(handler) as server, AsyncClient(server.url) as client:
            slow = [asyncio.create_task(infer(client, "slow")) for _ in range(5)]
            assert await infer(client, "fast") == 7
            assert not any(task.done() for task in slow)
            freed.set()
            assert await asyncio.gather(*slow) == [7] * 5

    run(scenario)


def test_a_large_request_that_the_server_does_not_read_holds_no_small_one_up() -> None:
    """The windows of one stream are used up; the connection's are not."""

    async def scenario() -> None:
        limits = Limits(stream_window=100_000, connection_window=10 << 20, held_bytes=1_500_000)
        async with H2Server(echoing, limits) as server, AsyncClient(server.url) as client:
            big = [Tensor("x", [200_000], "INT64", np.arange(200_000))]
            large = [asyncio.create_task(client.infer("m", big, binary=False)) for _ in range(3)]
            assert await infer(client) == 7
            for response in await asyncio.gather(*large):
                assert np.array_equal(response.outputs[0].as_numpy(), np.arange(200_000))

    run(scenario)


def test_no_more_streams_than_the_server_allows() -> None:
    async def scenario() -> None:
        running = most = 0

        async def handler(request: Request) -> Answer:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001)
            running -= 1
            return echo(request)

        async with H2Server(handler, Limits(streams=4)) as server, AsyncClient(server.url, retries=0) as client:
            await infer(client)
            assert await asyncio.gather(*(infer(client) for _ in range(50))) == [7] * 50
            assert most == 4

    run(scenario)


def test_cancelling_the_caller_resets_the_stream() -> None:
    async def scenario() -> None:
        async def handler(request: Request) -> Answer | None:
            return None if b"never" in request.head.path else echo(request)

        async with H2Server(handler) as server, AsyncClient(server.url) as client:
            task = asyncio.create_task(infer(client, "never"))
            await until(lambda: len(server.requests) == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: server.resets == [8])
            assert await infer(client) == 7
            assert len(server.peers) == 1

    run(scenario)


def test_a_call_that_is_cancelled_while_it_waits_for_its_turn_is_never_sent() -> None:
    async def scenario() -> None:
        freed = asyncio.Event()

        async def handler(request: Request) -> Answer:
            await freed.wait()
            return echo(request)

        async with H2Server(handler, Limits(streams=1)) as server, AsyncClient(server.url) as client:
            first = asyncio.create_task(infer(client))
            await until(lambda: len(server.requests) == 1)
            second, third = asyncio.create_task(infer(client, "second")), asyncio.create_task(infer(client))
            await asyncio.sleep(0)
            second.cancel()
            freed.set()
            assert await asyncio.gather(first, third) == [7, 7]
            assert all(b"second" not in request.head.path for request in server.requests)

    run(scenario)


def test_the_deadline_is_told_and_kept() -> None:
    async def scenario() -> None:
        async def handler(request: Request) -> None:
            return None

        async with H2Server(handler) as server, AsyncClient(server.url) as client:
            with pytest.raises(DeadlineExceeded, match=r"0\.05 s"):
                await infer(client, timeout=0.05)
            assert json.loads(server.requests[0].body)["parameters"]["timeout"] == 50_000
            await until(lambda: server.resets == [8])

    run(scenario)


def test_goaway_moves_new_calls_to_a_new_connection_while_old_ones_finish() -> None:
    async def scenario() -> None:
        freed = asyncio.Event()

        async def handler(request: Request) -> Answer:
            if b"slow" in request.head.path:
                await freed.wait()
            return echo(request)

        async with H2Server(handler) as server, AsyncClient(server.url, retries=0) as client:
            slow = asyncio.create_task(infer(client, "slow"))
            await until(lambda: len(server.requests) == 1)
            server.peers[0].connection.shutdown()
            calls = [asyncio.create_task(infer(client)) for _ in range(10)]
            assert await asyncio.gather(*calls) == [7] * 10
            await until(lambda: server.peers[0].connection.drained)
            assert await infer(client) == 7
            assert len(server.peers) == 2
            freed.set()
            assert await slow == 7
            await until(lambda: server.peers[0].transport.is_closing())

    run(scenario)


def test_calls_find_the_server_again_after_a_restart() -> None:
    async def scenario() -> None:
        async with H2Server(echoing) as server, AsyncClient(server.url) as client:
            assert await infer(client) == 7
            await server.stop()
            async with H2Server(echoing, port=server.port) as second:
                assert await asyncio.gather(*(infer(client) for _ in range(3))) == [7] * 3
                assert len(second.peers) == 1

    run(scenario)


def test_pure_calls_survive_a_connection_that_is_lost_and_others_do_not_run_twice() -> None:
    async def scenario() -> None:
        async def handler(request: Request) -> Answer | None:
            if len(server.requests) in (1, 3):
                server.peers[-1].transport.abort()
                return None
            return echo(request)

        async with H2Server(handler) as server, AsyncClient(server.url) as client:
            assert await infer(client) == 7
            assert len(server.requests) == 2
            with pytest.raises(Unavailable, match="was lost"):
                await infer(client, pure=False)
            assert len(server.requests) == 3

    run(scenario)


def test_a_server_that_sheds_is_asked_again_when_it_says_so() -> None:
    async def scenario() -> None:
        async def handler(request: Request) -> Answer:
            if len(server.requests) == 1:
                return Answer(503, b'{"error": "busy", "code": "overloaded"}', ((b"retry-after", b"0"),))
            return echo(request)

        async with H2Server(handler) as server, AsyncClient(server.url) as client:
            assert await infer(client) == 7
            assert len(server.requests) == 2

    run(scenario)


def test_a_refused_connection_is_told_in_a_sentence() -> None:
    async def scenario() -> None:
        async with H2Server(echoing) as server:
            pass
        async with AsyncClient(server.url, retries=Retries(attempts=1, base_seconds=0.001)) as client:
            with pytest.raises(Unavailable, match="cannot connect to http://localhost") as caught:
                await client.live()
            assert "running" in caught.value.hint

    run(scenario)


def test_a_port_that_speaks_something_else_is_told_in_a_sentence() -> None:
    async def scenario() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with AsyncClient(f"127.0.0.1:{port}", retries=0) as client:
            with pytest.raises(Unavailable) as caught:
                await client.live()
            assert "HTTP/2" in caught.value.hint
        server.close()
        await server.wait_closed()

    run(scenario)


def test_an_early_refusal_ends_the_upload() -> None:
    async def scenario() -> None:
        async def refuse(request: Request) -> Answer:
            return Answer(413, b'{"error": "too large", "code": "too_large"}')

        limits = Limits(stream_window=100_000)
        async with H2Server(refuse, limits, early=True) as server, AsyncClient(server.url) as client:
            with pytest.raises(TooLarge, match="too large"):
                await client.infer("m", [Tensor("x", [10**6], "INT64", np.arange(10**6))])
            assert client._channel._link is not None
            assert client._channel._link.active == 0

    run(scenario)


def test_after_close_calls_say_so() -> None:
    async def scenario() -> None:
        async def never(request: Request) -> None:
            return None

        async with H2Server(never) as server:
            client = AsyncClient(server.url)
            task = asyncio.create_task(infer(client))
            await until(lambda: len(server.requests) == 1)
            await client.close()
            with pytest.raises(Cancelled, match="was closed"):
                await task
            with pytest.raises(Cancelled, match="is closed"):
                await client.live()

    run(scenario)


def test_the_key_is_sent_and_an_answer_that_is_no_v2_is_an_error() -> None:
    async def scenario() -> None:
        async def handler(request: Request) -> Answer:
            return Answer(body=b"<html>")

        async with H2Server(handler) as server, AsyncClient(server.url, key="s3cret") as client:
            with pytest.raises(ShoalError, match="not what the V2 protocol promises"):
                await client.metadata()
            assert server.requests[0].head.headers[b"authorization"] == b"Bearer s3cret"

    run(scenario)


def test_tls_with_an_authority_and_certificate_of_ones_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["h2"])
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    ca, mine = tmp_path / "ca.pem", tmp_path / "mine.pem"
    authority.cert_pem.write_to_path(str(ca))
    authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(str(mine))

    async def scenario() -> None:
        async with H2Server(echoing, tls=context) as server:
            async with AsyncClient(server.url, tls=Tls(ca=ca, cert=mine)) as client:
                assert await infer(client) == 7
            async with AsyncClient(server.url, retries=0) as stranger:
                with pytest.raises(Unavailable, match="TLS with"):
                    await stranger.live()

    run(scenario)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "ftp://x"}, "not the address"),
        ({"url": "http://h:99999"}, "no valid port"),
        ({"protocol": "soap"}, "not known"),
        ({"url": "http://h/prefix", "protocol": "grpc"}, "gRPC knows no paths"),
        ({"key": "a\nb"}, "cannot be sent"),
        ({"url": "https://h", "tls": Tls(ca="/nowhere.pem")}, "cannot read the TLS files"),
    ],
)
def test_wrong_arguments_are_told_at_once(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AsyncClient(**arguments)


def test_inputs_that_cannot_be_sent_are_refused_here() -> None:
    async def scenario() -> None:
        async with H2Server(echoing) as server, AsyncClient(server.url) as client:
            with pytest.raises(InvalidInput):
                await client.infer("m", [Tensor("x", [2], "INT64", [1])])
            with pytest.raises(ConfigError, match="no time"):
                await infer(client, timeout=0)

    run(scenario)
