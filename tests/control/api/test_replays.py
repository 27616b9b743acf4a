"""Whoever lost an answer asks again, and the effect happens once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from shoal.control.api.problems import KeyReused
from shoal.control.api.replays import Replays
from shoal.core.clock import ManualClock
from support.control_world import World, manifest

VERSIONS = "/v1/models/default/iris/versions"


class Counting:
    """An application that counts its effects, and answers with the count."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.effects = 0
        self.going = asyncio.Event()
        self.going.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        self.effects += 1
        await self.going.wait()
        await send({"type": "http.response.start", "status": self.status, "headers": [(b"x", b"y")]})
        await send({"type": "http.response.body", "body": b"%d" % self.effects})


async def ask(app: Any, key: str, body: bytes = b"{}", method: str = "POST", path: str = "/v1/x") -> tuple[int, bytes]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"idempotency-key", key.encode())] if key else []
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def run(main: Callable[[], Any]) -> None:
    asyncio.run(main())


def test_the_same_request_gets_the_same_answer_and_has_one_effect() -> None:
    async def main() -> None:
        inner = Counting()
        app = Replays(inner, clock=ManualClock())
        assert [await ask(app, "k") for _ in range(3)] == [(200, b"1")] * 3
        assert (await ask(app, "other"), await ask(app, "")) == ((200, b"2"), (200, b"3"))

    run(main)


@pytest.mark.parametrize("changed", [{"body": b"[]"}, {"method": "PUT"}, {"path": "/v1/y"}])
def test_a_key_belongs_to_one_request(changed: dict[str, Any]) -> None:
    async def main() -> None:
        app = Replays(Counting(), clock=ManualClock())
        await ask(app, "k")
        with pytest.raises(KeyReused):
            await ask(app, "k", **changed)

    run(main)


def test_a_repetition_waits_for_the_first() -> None:
    async def main() -> None:
        inner = Counting()
        inner.going.clear()
        app = Replays(inner, clock=ManualClock())
        both = [asyncio.ensure_future(ask(app, "k")) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        inner.going.set()
        assert await asyncio.gather(*both) == [(200, b"1")] * 2

    run(main)


def test_failures_of_ours_may_be_tried_again_and_refusals_stay() -> None:
    async def main() -> None:
        for status, effects in ((503, 2), (409, 1)):
            inner = Counting(status)
            app = Replays(inner, clock=ManualClock())
            await ask(app, "k")
            await ask(app, "k")
            assert inner.effects == effects

    run(main)


def test_what_is_kept_is_bounded_in_number_size_and_age() -> None:
    async def main() -> None:
        clock, inner = ManualClock(), Counting()
        app = Replays(inner, clock=clock, entries=2, size=1000, seconds=60)
        for key in ("a", "b", "c"):
            await ask(app, key)
        assert await ask(app, "c") == (200, b"3")
        assert await ask(app, "a") == (200, b"4")
        clock.advance(61)
        await ask(app, "d")
        assert len(app._kept) == 1

    run(main)


def test_a_request_whose_caller_has_gone_is_finished_and_can_be_asked_for() -> None:
    async def main() -> None:
        inner = Counting()
        app = Replays(inner, clock=ManualClock())

        async def gone(message: Message) -> None:
            raise OSError("gone")

        async def receive() -> Message:
            return {"type": "http.request", "body": b"{}", "more_body": False}

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/x",
            "query_string": b"",
            "headers": [(b"idempotency-key", b"k")],
        }
        with pytest.raises(OSError, match="gone"):
            await app(scope, receive, gone)
        assert inner.effects == 1
        assert (await ask(app, "k"))[0] == 200

    run(main)


def test_reads_and_files_are_not_kept() -> None:
    async def main() -> None:
        inner = Counting()
        app = Replays(inner, clock=ManualClock())
        for method, path in (("GET", "/v1/x"), ("PUT", "/v1/blobs/a"), ("POST", "/v1/archives")):
            for _ in range(2):
                await ask(app, "k", method=method, path=path)
        assert inner.effects == 6

    run(main)


def test_a_lost_rollback_goes_back_once(control: World) -> None:
    for number in (1, 2, 3):
        control.push(b"r%d" % number)
        control.move("production", number)
    path, again = "/v1/models/default/iris/stages/production/rollback", {"idempotency-key": "once"}
    answers = [control.ask("POST", path, json={}, headers=again) for _ in range(3)]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert control.get("/v1/models/default/iris")["stages"] == {"production": 2}
    assert len(control.get("/v1/models/default/iris/stages/production/history")["moves"]) == 4


def test_a_key_with_another_body_is_422(control: World) -> None:
    control.store(b"r1")
    body = {"model": "iris", "manifest": manifest(model__onnx=b"r1")}
    key = {"idempotency-key": "k"}
    first = control.ask("POST", VERSIONS, json=body, headers=key)
    assert (first.status_code, control.ask("POST", VERSIONS, json=body, headers=key).json()) == (201, first.json())
    assert control.problem("POST", VERSIONS, json={**body, "alias": "x"}, headers=key) == (
        422,
        "idempotency_key_reused",
    )
    assert len(control.get(VERSIONS)["versions"]) == 1


def test_a_registration_is_remembered_beyond_this_process(control: World) -> None:
    control.store(b"r1")
    body = {"model": "iris", "manifest": manifest(model__onnx=b"r1")}
    key = {"idempotency-key": "k"}
    first = control.ask("POST", VERSIONS, json=body, headers=key).json()
    control.app._app._app._kept.clear()  # type: ignore[attr-defined]
    assert control.ask("POST", VERSIONS, json=body, headers=key).json() == first
    control.app._app._app._kept.clear()  # type: ignore[attr-defined]
    assert control.problem("POST", VERSIONS, json={**body, "alias": "x"}, headers=key) == (409, "conflict")


def test_a_key_must_be_printable(control: World) -> None:
    assert control.problem("PUT", "/v1/namespaces/a", json={}, headers={"idempotency-key": "a b"})[0] == 400
