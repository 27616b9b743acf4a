"""Who may connect to a proxy, and what becomes of those who do not speak its language."""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
import struct
from pathlib import Path

import msgspec
import pytest
import trustme

from shoal.core.call import Call, Format
from shoal.core.errors import ConfigError, DeadlineExceeded
from shoal.core.ipc import frames
from shoal.core.metrics import Metrics
from shoal.serving.batching.waiting.queue import CallQueue
from shoal.serving.hop import PeerList, ProxyServer, ProxySettings, RemoteModels, messages
from shoal.serving.hop.messages import Hello, Ping, Submit
from support.calls import RecordedCall
from support.gateway_fakes import FakeModels, handle
from support.hop_world import OracleDispatch, World, oracle_models, until, world


class Raw:
    """A connection that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = frames.FrameReader()
        self.heard: list[messages.FromProxy] = []

    @classmethod
    async def connect(cls, path: Path) -> Raw:
        return cls(*await asyncio.open_unix_connection(path))

    def say(self, message: msgspec.Struct, body: bytes = b"") -> None:
        self._writer.write(frames.prefix(messages.encode(message), len(body)) + body)

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def rest(self) -> list[messages.FromProxy]:
        """Everything that comes until the proxy hangs up."""
        try:
            async with asyncio.timeout(20):
                while data := await self._reader.read(65536):
                    self._take(data)
        except ConnectionError:
            pass
        self._writer.close()
        return self.heard

    async def until(self, kind: type) -> messages.FromProxy:
        async with asyncio.timeout(20):
            while not any(isinstance(each, kind) for each in self.heard):
                self._take(await self._reader.read(65536))
        return next(each for each in self.heard if isinstance(each, kind))

    def _take(self, data: bytes) -> None:
        self.heard += [messages.decode_from_proxy(header) for header, _ in self._frames.feed(data)]

    def close(self) -> None:
        self._writer.close()


def submit(number: int = 1, name: str = "m") -> Submit:
    return Submit(number, name, "", Format.PREDICT_ALL, -1, 1, 1, "", 10.0)


def test_a_socket_is_for_its_own_user_alone() -> None:
    async def test() -> None:
        async with world(proxies=1, gateways=0) as w:
            path = w.proxies[0].path
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    asyncio.run(test())


def test_a_process_of_another_user_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        server = ProxyServer(oracle_models(), name="p", metrics=Metrics(), uids=[os.geteuid() + 1])
        await server.listen_unix(tmp_path / "p.sock")
        raw = await Raw.connect(tmp_path / "p.sock")
        raw.say(Hello(messages.PROTOCOL))
        assert await raw.rest() == []
        await server.close()

    asyncio.run(test())


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        open_folder = tmp_path / "open"
        open_folder.mkdir(mode=0o755)
        server = ProxyServer(oracle_models(), name="p", metrics=Metrics())
        with pytest.raises(ConfigError, match="others may enter"):
            await server.listen_unix(open_folder / "p.sock")
        await server.close()

    asyncio.run(test())


def test_two_proxies_do_not_share_a_socket_and_a_dead_ones_is_taken_over() -> None:
    async def test() -> None:
        async with world(proxies=1) as w:
            proxy = w.proxies[0]
            second = ProxyServer(oracle_models(), name="proxy-0", metrics=Metrics())
            with pytest.raises(ConfigError, match="another process listens"):
                await second.listen_unix(proxy.path)
            await second.close()
            assert proxy.path.exists()
            await proxy.kill()
            assert proxy.path.exists()
            await proxy.start()
            w.submit(1)
            await w.settled()
            assert w.calls[0].answered == b"m:1"
            assert proxy.server is not None
            await proxy.server.close()
            proxy.server = None
            assert not proxy.path.exists()

    asyncio.run(test())


async def hung_up_on(w: World, *said: bytes) -> list[messages.FromProxy]:
    raw = await Raw.connect(w.proxies[0].path)
    for each in said:
        raw.send(each)
    heard = await raw.rest()
    w.submit(1)
    await w.settled()
    assert w.calls[-1].answered == b"m:1"
    return heard


def frame(message: msgspec.Struct, body: bytes = b"") -> bytes:
    return frames.prefix(messages.encode(message), len(body)) + body


HELLO = frame(Hello(messages.PROTOCOL))


@pytest.mark.parametrize(
    "said",
    [
        [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"],
        [frame(submit())],
        [frame(Ping())],
        [HELLO, struct.pack("<II", 2**31, 0)],
        [HELLO, struct.pack("<II", 10, 2**31)],
        [HELLO, frames.prefix(b"\xc1", 0)],
        [HELLO, frames.prefix(messages.encode(messages.Welcome(1)), 0)],
        [HELLO, frame(submit()).replace(b"\x01\xa1m", b"\x01\xa1\xff")],
        [HELLO, frame(Submit(1, "m", "", Format.V2_JSON, 99, 1, 1, "", 1.0), b"short")],
        [HELLO, frame(submit(3)), frame(submit(3))],
    ],
)
def test_whoever_does_not_speak_the_protocol_is_hung_up_on_and_nobody_else(said: list[bytes]) -> None:
    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            await w.proxy(settings=ProxySettings(frame_bytes=1024 * 1024))
            await w.gateway()
            await w.known()
            dispatch = w.owner().dispatch()
            await hung_up_on(w, *said)
            assert all(call.state for call in dispatch.calls)

    asyncio.run(test())


def test_another_version_of_the_protocol_is_named_by_both_ends(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with world(proxies=1) as w:
            (welcome,) = await hung_up_on(w, frame(Hello(messages.PROTOCOL + 1, "new")))
            assert welcome == messages.Welcome(messages.PROTOCOL, "proxy-0", w.proxies[0].server.boot)  # type: ignore[union-attr]

    asyncio.run(test())
    assert f"'new' speaks version {messages.PROTOCOL + 1}" in caplog.text


def test_a_gateway_uses_no_proxy_of_another_version(caplog: pytest.LogCaptureFixture) -> None:
    async def old_proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(messages.Welcome(0, "old", "x")))
        await reader.read()
        writer.close()

    async def test() -> None:
        async with world(proxies=1) as w:
            old = await asyncio.start_unix_server(old_proxy, w.folder / "old.sock")
            await until(lambda: "speaks version 0" in caplog.text)
            assert [link.name for link in w.gateways[0].proxies.open] == ["proxy-0"]
            old.close()

    asyncio.run(test())


def test_a_draining_proxy_says_so_and_refuses_what_still_comes() -> None:
    async def test() -> None:
        async with world(proxies=1, gateways=0) as w:
            server = w.proxies[0].server
            assert server is not None
            raw = await Raw.connect(w.proxies[0].path)
            raw.say(Hello(messages.PROTOCOL))
            await raw.until(messages.State)
            assert await server.drain(1.0)
            raw.say(submit(4))
            fail = await raw.until(messages.Fail)
            assert isinstance(fail, messages.Fail)
            assert (fail.id, fail.error.code, fail.executed) == (4, "unavailable", False)
            assert any(isinstance(each, messages.State) and each.draining for each in raw.heard)
            raw.close()

    asyncio.run(test())


def test_draining_ends_with_its_grace() -> None:
    async def test() -> None:
        async with world(proxies=1) as w:
            proxy = w.proxies[0]
            proxy.dispatch().hold = True
            w.submit(1)
            await until(lambda: proxy.dispatch().calls)
            assert proxy.server is not None
            assert not await proxy.server.drain(0.05)

    asyncio.run(test())


def test_no_more_is_read_than_there_is_room_for() -> None:
    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            proxy = await w.proxy(settings=ProxySettings(pending_bytes=200_000))
            await w.gateway()
            await w.known()
            dispatch = proxy.dispatch()
            dispatch.hold = True
            for at in range(40):
                w.submit(at, body=b"%04d" % at + bytes(50_000))
            await until(lambda: len(dispatch.calls) >= 4)
            await asyncio.sleep(0.05)
            assert len(dispatch.calls) < 20
            while not all(call.outcomes for call in w.calls):
                dispatch.run_all()
                await asyncio.sleep(0.001)
            assert all(call.answered == b"m:" + bytes(call.body) for call in w.calls)

    asyncio.run(test())


class QueueDispatch(OracleDispatch):
    """Calls wait in a real queue, which takes rows and body from those that end there."""

    def __init__(self) -> None:
        super().__init__()
        self.hold = True
        self.queue = CallQueue()

    def submit(self, call: Call) -> None:
        super().submit(call)
        self.queue.append(call)

    def cancel(self, call: Call) -> None:
        self.queue.release(call)
        super().cancel(call)

    def expire(self) -> None:
        for call in list(self.queue):
            self.queue.release(call)
            call.fail(DeadlineExceeded("too late"))


@pytest.mark.parametrize("how", ["cancelled", "expired"])
def test_what_ends_while_it_waits_gives_its_room_back(how: str) -> None:
    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            dispatch = QueueDispatch()
            proxy = await w.proxy(FakeModels(handle("m", dispatch=dispatch)), ProxySettings(pending_bytes=200_000))
            gateway = await w.gateway()
            await w.known()
            for _ in range(10):
                calls = [w.submit(body=bytes(30_000), rows=3) for _ in range(5)]
                await until(lambda: sum(1 for _ in dispatch.queue) == 5)
                if how == "cancelled":
                    for call in calls:
                        gateway.find("m").dispatch.cancel(call)
                    await until(lambda: not list(dispatch.queue))
                else:
                    dispatch.expire()
                    await until(lambda: all(call.outcomes for call in w.calls))
            assert proxy.server is not None
            assert (proxy.server.in_flight, proxy.server.rows) == (0, 0)

    asyncio.run(test())


def test_a_connection_that_says_nothing_is_closed() -> None:
    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            proxy = await w.proxy(settings=ProxySettings(quiet_seconds=0.1))
            raw = await Raw.connect(proxy.path)
            raw.say(Hello(messages.PROTOCOL))
            heard = await raw.rest()
            assert isinstance(heard[0], messages.Welcome)

    asyncio.run(test())


def test_questions_that_are_open_are_counted() -> None:
    async def test() -> None:
        async with world(proxies=0, gateways=0) as w:
            models = oracle_models()
            models.load = lambda name, config=None: asyncio.sleep(3600)  # type: ignore[method-assign]
            proxy = await w.proxy(models, ProxySettings(asks=2))
            raw = await Raw.connect(proxy.path)
            raw.say(Hello(messages.PROTOCOL))
            for number in range(3):
                raw.say(messages.Ask(number, "load", "m"))
            told = await raw.until(messages.Told)
            assert isinstance(told, messages.Told)
            assert told.error is not None
            assert (told.id, told.error.code) == (2, "overloaded")
            raw.close()

    asyncio.run(test())


def test_a_question_that_cannot_be_read_is_answered_so() -> None:
    async def test() -> None:
        async with world(proxies=1, gateways=0) as w:
            raw = await Raw.connect(w.proxies[0].path)
            raw.say(Hello(messages.PROTOCOL))
            raw.say(messages.Ask(1, "refresh"), b"\xc1")
            told = await raw.until(messages.Told)
            assert isinstance(told, messages.Told)
            assert told.error is not None
            assert told.error.code == "invalid_input"
            raw.close()

    asyncio.run(test())


class Certificates:
    """An authority, a server of it, and clients."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert("localhost").configure_cert(self.server)
        self.authority.configure_trust(self.server)

    def client(self, authority: trustme.CA | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if authority is not None:
            authority.issue_cert("gateway").configure_cert(context)
        return context


def test_tcp_without_mutual_tls_is_refused() -> None:
    async def test() -> None:
        certificates = Certificates()
        server = ProxyServer(oracle_models(), name="p", metrics=Metrics())
        for context in (None, certificates.server):
            with pytest.raises(ConfigError, match="show a certificate"):
                await server.listen_tcp("127.0.0.1", 0, context)
        await server.close()

    asyncio.run(test())


def test_over_tcp_both_ends_show_a_certificate() -> None:
    async def test() -> None:
        certificates = Certificates()
        certificates.server.verify_mode = ssl.CERT_REQUIRED
        models = oracle_models()
        server = ProxyServer(models, name="p", metrics=Metrics())
        port = await server.listen_tcp("127.0.0.1", 0, certificates.server)
        good = gateway(port, certificates.client(certificates.authority))
        strangers = [gateway(port, certificates.client()), gateway(port, certificates.client(trustme.CA()))]
        try:
            for each in (*strangers, good):
                await each.start()
            await until(lambda: good.proxies.usable)
            await good.discover("m")
            call = RecordedCall(1, arrived=good._clock(), body=bytes(2_000_000))
            good.find("m").dispatch.submit(call)
            await until(lambda: call.outcomes)
            assert call.answered == b"m:" + bytes(2_000_000)
            assert not any(each.proxies.open for each in strangers)
            dispatch = models.find("m").dispatch
            assert isinstance(dispatch, OracleDispatch)
            assert len(dispatch.ran) == 1
        finally:
            for each in (*strangers, good):
                await each.close()
            await server.close()

    asyncio.run(test())


def gateway(port: int, context: ssl.SSLContext) -> RemoteModels:
    return RemoteModels(PeerList([f"localhost:{port}"], lambda: context), metrics=Metrics())
