"""Bodies have bounds, and a sender who stops sending is given up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.types import Message

from shoal.control.api import bodies
from shoal.core.errors import Cancelled, DeadlineExceeded, TooLarge
from support.control_world import World, sha256, world

NAMESPACE = "/v1/namespaces/team-a"


def request(*messages: Message, length: int | None = None) -> Request:
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    headers = [] if length is None else [(b"content-length", b"%d" % length)]
    return Request({"type": "http", "method": "PUT", "path": "/", "headers": headers}, receive)


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def read(asked: Request, limit: int = 10, idle: float = 5.0) -> bytes:
    return b"".join([piece async for piece in bodies.pieces(asked, limit, idle)])


def test_a_body_comes_in_pieces() -> None:
    assert asyncio.run(read(request(part(b"ab"), part(b""), part(b"c", more=False)))) == b"abc"


def test_a_declared_length_above_the_bound_is_refused_unread() -> None:
    with pytest.raises(TooLarge):
        asyncio.run(read(request(length=11)))


def test_an_undeclared_one_as_soon_as_it_is_crossed() -> None:
    with pytest.raises(TooLarge):
        asyncio.run(read(request(part(b"x" * 10), part(b"x"))))


def test_a_sender_who_sends_nothing_is_given_up() -> None:
    with pytest.raises(DeadlineExceeded, match="nothing was sent"):
        asyncio.run(read(request(part(b"x")), idle=0.01))


def test_a_sender_who_has_gone_is_given_up() -> None:
    with pytest.raises(Cancelled):
        asyncio.run(read(request(part(b"x"), {"type": "http.disconnect"})))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no body"),
        (b"{", "not valid JSON"),
        (b"[" * 100_000, ""),
        (b'{"owner": 1}', "expected"),
        (b'{"onwer": "a"}', "onwer"),
        (b'{"owner": "\xff"}', ""),
        (b'{"policy": {"public": "yes"}}', "expected"),
    ],
)
def test_json_that_is_wrong_is_told(control: World, body: bytes, said: str) -> None:
    answer = control.ask("PUT", NAMESPACE, content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input"), answer.text
    assert said in answer.json()["error"]


def test_the_field_is_named(control: World) -> None:
    answer = control.ask("PUT", NAMESPACE, json={"policy": {"signed_stages": [1]}})
    assert answer.json()["field"] == "policy.signed_stages[0]"


def test_json_has_a_bound(control: World) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 1024 * 1024

    assert control.problem("PUT", NAMESPACE, content=endless()) == (413, "too_large")
    big = json.dumps({"owner": "x" * bodies.JSON_BYTES})
    assert control.problem("PUT", NAMESPACE, content=big) == (413, "too_large")


def test_uploads_have_a_bound(tmp_path: Path) -> None:
    with world(tmp_path, upload_bytes=1000) as made:
        path = f"/v1/blobs/{sha256(b'x' * 1001)}"
        assert made.problem("PUT", path, content=b"x" * 1001) == (413, "too_large")
        assert made.problem("POST", "/v1/archives", content=b"x" * 1001) == (413, "too_large")
        assert list((tmp_path / "tmp").iterdir()) == []
