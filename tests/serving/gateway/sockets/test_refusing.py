"""Connections of one address: so many, one more is told why not, and others do not notice."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.wire.http2 import ErrorCode, frames
from shoal.serving.gateway.exchange import WireLimits
from shoal.serving.gateway.sockets import refusing
from shoal.serving.gateway.sockets.refusing import Crowd
from support.listening import RawClient, get, listening
from support.running import run

TWO = WireLimits(connections_per_address=2)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frames.settings({})
ADDRESSES = ("10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2", "2001:db8:1::1", "")


@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), st.integers(0, 30))))
def test_no_source_has_more_than_it_may_and_each_that_left_makes_room(most: int, steps: list[tuple[bool, int]]) -> None:
    crowd, there = Crowd(most), list[str | None]()
    for comes, at in steps:
        if comes:
            address = ADDRESSES[at % len(ADDRESSES)]
            source = crowd.enter(address)
            before = Counter(there)[refusing.source_of(address)]
            assert (source is None) is (before >= most)
            there.append(source)
        elif there:
            crowd.leave(there.pop(at % len(there)))
        assert all(count <= most for source, count in Counter(there).items() if source is not None)
    for source in there:
        crowd.leave(source)
    assert crowd._counts == {}, "sources that have left are kept"
    assert crowd._refused == 0


async def _full(port: int, stack: contextlib.AsyncExitStack) -> None:
    for _ in range(2):
        client = await stack.enter_async_context(RawClient.connect(port))
        assert (await client.ask(get("/x")))[0] == 200


def test_one_more_gets_429_and_the_next_after_one_has_left_is_let_in() -> None:
    async def main() -> None:
        async with listening(limits=TWO) as listener, contextlib.AsyncExitStack() as stack:
            await _full(listener.port, stack)
            async with RawClient.connect(listener.port) as third:
                status, body = await third.ask(get("/x"))
                assert (status, b"too many connections from this address" in body) == (429, True)
                assert await third.rest() == b""
            await stack.aclose()
            async with asyncio.timeout(20):
                while listener.connections:
                    await asyncio.sleep(0.005)
            async with RawClient.connect(listener.port) as another:
                assert (await another.ask(get("/x")))[0] == 200

    run(main())


def test_one_more_that_speaks_http2_gets_goaway() -> None:
    async def main() -> None:
        async with listening(limits=TWO) as listener, contextlib.AsyncExitStack() as stack:
            await _full(listener.port, stack)
            async with RawClient.connect(listener.port) as third:
                third.send(PREFACE)
                told = await third.rest()
        assert told[3] == 4, "HTTP/2 begins with SETTINGS"
        last, code, reason = frames.parse_goaway(told[18:])
        assert (last, code) == (0, ErrorCode.ENHANCE_YOUR_CALM)
        assert reason == b"too many connections from this address"

    run(main())


@pytest.mark.parametrize("alpn", ["http/1.1", "h2"])
def test_one_more_is_told_so_within_tls(alpn: str) -> None:
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    server.set_alpn_protocols(["h2", "http/1.1"])

    async def main() -> None:
        def trusting() -> ssl.SSLContext:
            context = ssl.create_default_context()
            authority.configure_trust(context)
            return context

        one = WireLimits(connections_per_address=1)
        async with (
            listening(limits=one, ssl_context=server) as listener,
            RawClient.connect(listener.port, tls=trusting(), alpn="http/1.1") as first,
        ):
            assert (await first.ask(get("/x")))[0] == 200
            async with RawClient.connect(listener.port, tls=trusting(), alpn=alpn) as second:
                second.send(get("/x") if alpn == "http/1.1" else PREFACE)
                told = await second.rest()
        assert told.startswith(b"HTTP/1.1 429") if alpn == "http/1.1" else told[3] == 4

    run(main())


def test_another_address_does_not_notice_even_beside_more_than_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refusing, "AT_ONCE", 3)

    async def main() -> None:
        async with listening(limits=TWO) as listener, contextlib.AsyncExitStack() as stack:
            await _full(listener.port, stack)
            silent = [await stack.enter_async_context(RawClient.connect(listener.port)) for _ in range(8)]
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, local_addr=("127.0.0.2", 0))
            other = RawClient(reader, writer)
            assert (await other.ask(get("/x")))[0] == 200
            writer.close()
            told = await asyncio.gather(*(each.rest() for each in silent))  # those that say nothing are cut off soon
            assert sum(text.startswith(b"HTTP/1.1 429") for text in told) == 5

    run(main())
