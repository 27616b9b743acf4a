from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shoal.core.metrics import Metrics
from shoal.serving.caching.answers import Answer
from shoal.serving.caching.instruments import CacheFamilies, CacheInstruments
from shoal.serving.caching.store import OVERHEAD, AnswerStore, Share

KEYS = [b"%d" % number for number in range(6)]
ENTRY = 100 + OVERHEAD


def answer(size: int = 100) -> Answer:
    return Answer(b"a" * size, -1, -1)


def instruments() -> CacheInstruments:
    return CacheInstruments(CacheFamilies(Metrics()), "m", "1")


def test_an_answer_is_good_for_its_time() -> None:
    share = AnswerStore(10 * ENTRY).share(10 * ENTRY, instruments())
    share.put(b"k", answer(), 10.0)
    assert share.get(b"k", 9.9) == answer()
    assert share.get(b"k", 10.0) is None
    assert len(share) == share.bytes == 0


def test_the_least_recently_used_answer_goes_first() -> None:
    counted = instruments()
    share = AnswerStore(10 * ENTRY).share(2 * ENTRY, counted)
    share.put(b"a", answer(), 99.0)
    share.put(b"b", answer(), 99.0)
    assert share.get(b"a", 0.0)
    share.put(b"c", answer(), 99.0)
    assert share.get(b"b", 0.0) is None
    assert share.get(b"a", 0.0)
    assert (counted.evictions.value, counted.bytes.value) == (1, 2 * ENTRY)


def test_one_service_cannot_push_out_more_than_the_common_bound_makes_it() -> None:
    store = AnswerStore(3 * ENTRY)
    small, large = store.share(ENTRY, instruments()), store.share(10 * ENTRY, instruments())
    small.put(b"a", answer(), 99.0)
    for key in KEYS:
        large.put(key, answer(), 99.0)
        assert small.get(b"a", 0.0), "what is in use stays"
    assert len(large) == 2
    small.put(b"b", answer(), 99.0)
    assert (len(small), len(large)) == (1, 2)


def test_what_is_larger_than_everything_is_not_kept_and_pushes_nothing_out() -> None:
    store = AnswerStore(3 * ENTRY)
    share = store.share(10 * ENTRY, instruments())
    share.put(b"a", answer(), 99.0)
    share.put(b"b", answer(4 * ENTRY), 99.0)
    assert share.get(b"a", 0.0)
    share.put(b"a", answer(4 * ENTRY), 99.0)
    assert share.get(b"a", 0.0) is None


def test_a_service_that_is_gone_leaves_nothing() -> None:
    store = AnswerStore(10 * ENTRY)
    one, other = store.share(5 * ENTRY, instruments()), store.share(5 * ENTRY, instruments())
    one.put(b"a", answer(), 99.0)
    other.put(b"a", answer(50), 99.0)
    one.clear()
    assert (store.bytes, len(store)) == (50 + OVERHEAD, 1)
    assert other.get(b"a", 0.0) == answer(50)


class StoreMachine(RuleBasedStateMachine):
    """Three services and any order of steps: the bounds hold and the accounts are exact after each."""

    def __init__(self) -> None:
        super().__init__()
        self.store, self.now = AnswerStore(4 * ENTRY), 0.0
        self.shares = [self.store.share(bound * ENTRY, instruments()) for bound in (1, 3, 9)]
        self.put_at: dict[tuple[Share, bytes], tuple[Answer, float]] = {}

    @rule(at=st.integers(0, 2), key=st.sampled_from(KEYS), size=st.sampled_from([0, 100, 700, 5000]))
    def put(self, at: int, key: bytes, size: int) -> None:
        self.shares[at].put(key, answer(size), self.now + 10)
        self.put_at[self.shares[at], key] = answer(size), self.now + 10
        if size + OVERHEAD <= ENTRY:
            assert self.shares[at].get(key, self.now) == answer(size)

    @rule(at=st.integers(0, 2), key=st.sampled_from(KEYS))
    def get(self, at: int, key: bytes) -> None:
        found = self.shares[at].get(key, self.now)
        if found is not None:
            last, expires = self.put_at[self.shares[at], key]
            assert found == last
            assert self.now < expires

    @rule(seconds=st.sampled_from([1.0, 6.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.now += seconds

    @rule(at=st.integers(0, 2))
    def clear(self, at: int) -> None:
        self.shares[at].clear()

    @invariant()
    def the_accounts_are_exact(self) -> None:
        assert self.store.bytes == sum(share.bytes for share in self.shares) <= self.store.max_bytes
        assert len(self.store) == sum(map(len, self.shares))
        for share in self.shares:
            assert share.bytes == sum(each.bytes for each in share._entries.values()) <= share._max_bytes
            assert share._instruments.bytes.value == share.bytes


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
