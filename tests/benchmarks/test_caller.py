from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from benchmarks.asking import Loading
from benchmarks.caller import Caller
from benchmarks.calls import Outcome, Plan
from benchmarks.connection import Connection, LostConnection
from shoal.testing.faults import oracle

Reply = tuple[int, bytes] | None
Answer = Callable[[str, bytes], Reply]


def value(text: object) -> Reply:
    return 200, b'{"outputs":[{"data":[%s]}]}' % str(text).encode()


class Fake:
    """A server that answers as it is told; None closes the connection. Remembers the paths."""

    def __init__(self, answer: Answer) -> None:
        self.paths: list[str] = []
        self._answer = answer

    async def __aenter__(self) -> Fake:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                self.paths.append(head.split(b" ")[1].decode())
                reply = self._answer(self.paths[-1], body)
                if reply is None:
                    break
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (reply[0], len(reply[1]), reply[1]))
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()
            await writer.wait_closed()


def run(answer: Answer, **fields: object) -> tuple[Outcome, list[str]]:
    async def calling() -> tuple[Outcome, list[str]]:
        async with Fake(answer) as server:
            plan = Plan(**{"port": server.port, "connections": 2, **fields})  # type: ignore[arg-type]
            return await Caller(plan).run(), server.paths

    return asyncio.run(calling())


def number_in(path: str, _: bytes) -> Reply:
    return value(int(path.split("/")[3][1:]))


def test_all_are_called_once_and_timed() -> None:
    outcome, paths = run(number_in, models=[5, 3, 3])
    assert sorted(paths) == sorted(f"/v2/models/m00000{each}/infer" for each in (5, 3, 3))
    assert (outcome.failed, len(outcome.times), min(outcome.times) > 0) == (0, 3, True)


def test_an_answer_of_another_model_is_a_failure() -> None:
    outcome, _ = run(lambda path, body: value(4), models=[4, 5])
    assert (outcome.failed, outcome.failures) == (1, ["call 1 of 5: BadAnswer model 5 answers 4"])


def test_errors_are_failures_and_the_rest_goes_on() -> None:
    outcome, _ = run(lambda path, body: number_in(path, body) if "m000001" in path else (503, b"no"), models=[1, 2, 1])
    assert outcome.failed == 1
    assert "status 503" in outcome.failures[0]


def test_a_lost_connection_is_a_failure_unless_it_may_be_tried_again() -> None:
    outcome, paths = run(lambda path, body: None, models=[1], again=0)
    assert "LostConnection" in outcome.failures[0]
    outcome, paths = run(lambda path, body: None, models=[1], again=2)
    assert (outcome.failed, len(paths)) == (1, 3)


def test_at_a_pace_latencies_count_from_when_a_call_was_due() -> None:
    outcome, _ = run(number_in, models=[1] * 5, rate=200.0)
    assert outcome.seconds >= 4 / 200


def test_texts_are_held_against_the_version_that_the_answer_names() -> None:
    def answer(path: str, body: bytes) -> Reply:
        text = body.split(b'"data":["')[1].split(b'"')[0].decode()
        version = {"text 1": "1", "text 2": "2"}.get(text)
        return value(f'"{oracle(text, version)}"' if version else f'"{oracle("other", "1")}"')

    outcome, paths = run(answer, models=[1, 2, 3], text="oracle")
    assert (outcome.versions, outcome.failed) == ({"1": 1, "2": 1}, 1)
    assert set(paths) == {"/v2/models/oracle/infer"}


def test_a_caller_that_loads_models_keeps_to_its_number() -> None:
    loaded = {0}

    def answer(path: str, body: bytes) -> Reply:
        number = int(path.split("/")[-2][1:])
        if path.endswith("/infer"):
            return value(number) if number in loaded else (404, b"not loaded")
        (loaded.add if path.endswith("/load") else loaded.remove)(number)
        assert len(loaded) <= 3
        return 200, b""

    outcome, _ = run(answer, models=[0, 1, 2, 3, 0, 4, 4, 1, 2, 0] * 3, keep=3, held=[0])
    assert outcome.failures == []
    assert set(outcome.held) == loaded
    assert outcome.loads > 3


@pytest.mark.parametrize("same", [True, False])
def test_who_wants_a_model_on_its_way_waits_and_nobody_loads_it_twice(same: bool) -> None:
    asked = asyncio.run(asking_twice(1 if same else 3))
    assert asked.count("load1") == 1
    assert asked.index("unload3") < asked.index("load1") < asked.index("infer1")
    if not same:  # what was just leaving is loaded again only after it has left
        assert asked.index("unload3") < asked.index("load3")


async def asking_twice(second: int) -> list[str]:
    """Model 1, for which 3 has to go, and before it is there another; what the server is asked, in order."""
    gate, asked = asyncio.Event(), list[str]()

    class Slow(Connection):
        async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
            asked.append(path.split("/")[-1] + path.split("/")[-2][-1])
            if path.endswith("load"):
                await gate.wait()
            return value(int(path.split("/")[-2][1:])) or (500, b"")

    loading = Loading(1, [3])
    first = asyncio.ensure_future(loading.ask(Slow(1), 1))
    await asyncio.sleep(0)
    other = asyncio.ensure_future(loading.ask(Slow(1), second))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, other)
    return asked


def test_a_connection_is_made_again_after_it_was_closed() -> None:
    async def asking_again() -> int:
        replies: list[Reply] = [None, value(1)]
        async with Fake(lambda path, body: replies.pop(0)) as server:
            connection = Connection(server.port)
            with pytest.raises(LostConnection):
                await connection.post("/", b"{}")
            status, _ = await connection.post("/", b"{}")
            connection.close()
            return status

    assert asyncio.run(asking_again()) == 200
