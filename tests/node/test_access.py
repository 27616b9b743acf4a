"""The guard of a process follows whoever says whom to let in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from shoal.core import keys
from shoal.core.access import AccessTable, Grant, KeyRecord
from shoal.core.errors import NotFound, ShoalError, Unauthenticated, Unavailable
from shoal.core.routes import Change, Feed
from shoal.core.settings.keys_file import add_key
from shoal.core.settings.node import NodeSettings
from shoal.node.access import Access
from shoal.serving.gateway.guard.guard import Guard
from support.access import Holders
from support.gateway_fakes import FakeExchange

HOLDERS = Holders(app=Grant(("caller",)))
EMPTY = AccessTable()


class FakeControl:
    """A control that tests change; its feed is one question long."""

    def __init__(self, table: AccessTable) -> None:
        self.table = table
        self.down: ShoalError | None = None
        self.asked = 0
        self._changed = asyncio.Event()

    def put(self, table: AccessTable) -> None:
        self.table = table
        self._changed.set()

    async def access(self) -> AccessTable:
        self._fail()
        self.asked += 1
        return self.table

    async def feed(self, after: int, wait: float) -> Feed:
        self._fail()
        if after < 0:
            return Feed(changes=(), position=7)
        await self._changed.wait()
        self._fail()
        self._changed.clear()
        return Feed(changes=(Change(number=after + 1, kind="access", namespace=""),), position=after + 1)

    def lose(self, error: ShoalError) -> None:
        self.down = error
        self._changed.set()

    def _fail(self) -> None:
        if self.down:
            raise self.down


def outcome(guard: Guard, holders: Holders = HOLDERS, who: str = "app") -> str:
    """What becomes of a request."""
    headers = holders.headers(who)
    try:
        guard.who(FakeExchange("GET", "/"), headers)
    except ShoalError as error:
        return error.code
    return "in"


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.005)


def settings(home: Path, **auth: object) -> NodeSettings:
    return NodeSettings.model_validate({"home": home, "auth": auth})


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(main())


def test_nobody_is_let_in_before_control_has_told_and_then_its_keys(tmp_path: Path) -> None:
    async def main() -> None:
        control = FakeControl(HOLDERS.table)
        access = Access(settings(tmp_path), control, every=0.01)
        assert outcome(access.guard) == outcome(access.guard, who="") == "unavailable"
        access.start()
        await access.settled()
        assert (outcome(access.guard), outcome(access.guard, who="")) == ("in", "unauthenticated")
        await access.stop()

    run(main)


def test_where_control_has_no_keys_nobody_is_asked_until_it_has(tmp_path: Path) -> None:
    async def main() -> None:
        control = FakeControl(EMPTY)
        access = Access(settings(tmp_path), control, every=0.01)
        access.start()
        await access.settled()
        assert not access.guard.on
        control.put(HOLDERS.table)
        await until(lambda: access.guard.on)
        assert outcome(access.guard) == "in"
        control.put(AccessTable(revision=2))
        await until(lambda: outcome(access.guard) == "unauthenticated")
        await access.stop()

    run(main)


def test_a_restart_with_control_dead_lets_in_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        control = FakeControl(HOLDERS.table)
        first = Access(settings(tmp_path), control, every=0.01)
        first.start()
        await first.settled()
        await until(lambda: (tmp_path / "access.json").exists())
        control.lose(Unavailable("gone"))
        assert outcome(first.guard) == "in"
        await first.stop()
        again = Access(settings(tmp_path), control, every=0.01)
        again.start()
        assert outcome(again.guard) == "in"
        assert outcome(again.guard, who="") == "unauthenticated"
        await again.stop()

    run(main)


def test_what_was_kept_is_for_its_owner_and_what_cannot_be_read_lets_nobody_in(tmp_path: Path) -> None:
    async def main() -> None:
        control = FakeControl(HOLDERS.table)
        access = Access(settings(tmp_path), control, every=0.01)
        access.start()
        await access.settled()
        kept = tmp_path / "access.json"
        await until(kept.exists)
        await access.stop()
        assert kept.stat().st_mode & 0o777 == 0o600
        kept.write_bytes(b"{")
        control.lose(Unavailable("gone"))
        again = Access(settings(tmp_path), control, every=0.01)
        again.start()
        assert outcome(again.guard) == "unavailable"
        await again.stop()

    run(main)


def test_a_change_that_came_while_control_was_away_is_taken(tmp_path: Path) -> None:
    async def main() -> None:
        control = FakeControl(HOLDERS.table)
        access = Access(settings(tmp_path), control, every=0.01)
        access.start()
        await access.settled()
        control.lose(Unavailable("gone"))
        control.table = AccessTable(revision=5)
        control.down = None
        await until(lambda: outcome(access.guard) == "unauthenticated")
        await access.stop()

    run(main)


def test_what_answers_as_control_but_knows_of_no_keys_lets_nobody_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        control = FakeControl(EMPTY)
        control.down = NotFound("there is no such path")
        access = Access(settings(tmp_path), control, every=0.001)
        access.start()
        await until(lambda: "no such path" in caplog.text)
        assert outcome(access.guard) == "unavailable"
        await access.stop()

    run(main)


def test_a_control_that_refuses_this_node_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        control = FakeControl(EMPTY)
        control.down = Unauthenticated("who are you?")
        access = Access(settings(tmp_path), control, every=0.001)
        access.start()
        await until(lambda: "who are you?" in caplog.text)
        await asyncio.sleep(0.02)
        assert outcome(access.guard) == "unavailable"
        await access.stop()

    run(main)
    assert caplog.text.count("who are you?") == 1


def test_a_keys_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.yaml"
    add_key(path, HOLDERS.table.keys[0])
    other = Holders(other=Grant(("caller",)))

    async def main() -> None:
        access = Access(settings(tmp_path, keys_file=str(path)), FakeControl(EMPTY), every=0.005)
        access.start()
        await access.settled()
        assert (outcome(access.guard), outcome(access.guard, other, "other")) == ("in", "unauthenticated")
        add_key(path, other.table.keys[0])
        await until(lambda: outcome(access.guard, other, "other") == "in")
        path.chmod(0o644)
        await until(lambda: "others on this machine" in caplog.text)
        path.unlink()
        await until(lambda: "cannot be read" in caplog.text)
        assert (outcome(access.guard), outcome(access.guard, other, "other")) == ("in", "in")
        path.touch(0o600)
        await until(lambda: outcome(access.guard) == "unauthenticated")
        await access.stop()

    run(main)


def test_where_it_is_off_nobody_is_asked_whatever_control_says(tmp_path: Path) -> None:
    async def main() -> None:
        control = FakeControl(HOLDERS.table)
        access = Access(settings(tmp_path, mode="off"), control)
        access.start()
        await access.settled()
        assert not access.guard.on
        assert control.asked == 0
        await access.stop()

    run(main)


@pytest.mark.parametrize(("auth", "word"), [({}, "is off"), ({"mode": "keys"}, "is on")])
def test_one_line_says_whether_it_is_on(
    tmp_path: Path, auth: dict[str, object], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def main() -> None:
        access = Access(settings(tmp_path, **auth), None)
        access.start()
        await access.stop()

    run(main)
    assert caplog.text.count("authentication") == 1
    assert f"authentication {word}" in caplog.text


def test_no_key_is_kept_and_none_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    key = keys.generate()
    record = KeyRecord(id=key.id, name="x", sha256=keys.digest(key.text), grants=(Grant(("caller",)),))

    async def main() -> None:
        access = Access(settings(tmp_path), FakeControl(AccessTable(keys=(record,), revision=1)), every=0.01)
        access.start()
        await access.settled()
        access.guard.who(FakeExchange("GET", "/"), {b"authorization": b"Bearer " + key.text.encode()})
        await until(lambda: (tmp_path / "access.json").exists())
        await access.stop()

    run(main)
    secret = key.text.split("_")[2]
    assert secret not in caplog.text
    assert all(secret not in path.read_text() for path in tmp_path.rglob("*") if path.is_file())
