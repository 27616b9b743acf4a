"""Garbage collection removes what nothing refers to, and never what a push relies on."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from shoal.control.artifacts.gc import DAY, Collected, collect
from shoal.testing.stores import MemoryStore, blob_of, name_of

CONTENTS = [b"", b"a", b"bb", b"ccc", b"dddd"]


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@given(st.dictionaries(st.sampled_from(CONTENTS), st.floats(0, 3 * DAY)), st.sets(st.sampled_from(CONTENTS)))
def test_it_removes_the_old_that_nothing_refers_to(ages: dict[bytes, float], live: set[bytes]) -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    for data, age in ages.items():
        clock.now = 1_000_000.0 - age
        store.put(*blob_of(data))
    names = [name_of(data) for data in live]
    expected = {data for data, age in ages.items() if data not in live and age >= DAY}
    told = Collected(len(expected), sum(map(len, expected)))
    assert collect(names, store, now=1_000_000.0, dry_run=True) == told
    assert set(store.content) == {name_of(data) for data in ages}
    assert collect(names, store, now=1_000_000.0) == told
    assert set(store.content) == {name_of(data) for data in ages if data not in expected}


def test_what_is_put_while_it_runs_is_left() -> None:
    """A push finds an old blob there, and relies on it, at the worst moment."""
    clock = Clock()
    store = MemoryStore(clock=clock)
    store.put(*blob_of(b"old"))
    clock.now += 2 * DAY

    def live() -> Iterator[str]:
        store.put(*blob_of(b"old"))
        yield name_of(b"other")

    assert collect(live(), store, now=clock.now) == Collected(0, 0)
    assert store.has(name_of(b"old"))


def test_what_is_registered_while_it_runs_is_left() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock)
    store.put(*blob_of(b"old"))
    registered: list[str] = []

    class Listed(MemoryStore):
        def list(self):
            yield from list(store.list())
            registered.append(name_of(b"old"))

    listed = Listed(clock=clock)
    assert collect((each for each in registered), listed, now=clock.now + 2 * DAY) == Collected(0, 0)


class PushesAndCollections(RuleBasedStateMachine):
    """Pushes in steps (put, then register within the grace), deletions, and collections in any order."""

    pushes = Bundle("pushes")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = MemoryStore(clock=self.clock)
        self.live: set[bytes] = set()

    @rule(target=pushes, data=st.sampled_from(CONTENTS))
    def put(self, data: bytes) -> tuple[bytes, float]:
        self.store.put(*blob_of(data))
        return data, self.clock.now

    @rule(push=pushes)
    def register(self, push: tuple[bytes, float]) -> None:
        data, started = push
        if self.clock.now - started < DAY:
            self.live.add(data)

    @rule(data=st.sampled_from(CONTENTS))
    def delete(self, data: bytes) -> None:
        self.live.discard(data)

    @rule(seconds=st.floats(0, DAY / 2))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def collect(self) -> None:
        collect([name_of(data) for data in self.live], self.store, now=self.clock.now)

    @invariant()
    def what_is_registered_is_there(self) -> None:
        assert {name_of(data) for data in self.live} <= set(self.store.content)


TestPushesAndCollections = PushesAndCollections.TestCase
