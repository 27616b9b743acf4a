"""Several tenants and levels in one queue: shares, order, and who makes room for whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.call import Call, State
from shoal.serving.batching.waiting.queue import CallQueue
from shoal.serving.batching.waiting.turns import MOST_IDLE, WEIGHTS, level_of
from support.calls import RecordedCall


def make(number: int = 0, **fields: object) -> RecordedCall:
    return RecordedCall(number, arrived=0.0, **fields)  # type: ignore[arg-type]


def no_expiry(call: Call) -> None:
    raise AssertionError("nothing has expired")


def weights(**given: float) -> CallQueue:
    return CallQueue(lambda tenant: given.get(tenant, 1.0))


def fill(queue: CallQueue, tenant: str, count: int, **fields: object) -> list[RecordedCall]:
    calls = [make(at, tenant=tenant, **fields) for at in range(count)]
    for call in calls:
        queue.append(call)
    return calls


def rows_of(batch: list[Call], tenant: str) -> int:
    return sum(call.rows for call in batch if call.tenant == tenant)


TENANTS = st.sampled_from(["", "a", "b", "c"])
SENT = st.lists(st.tuples(TENANTS, st.integers(1, 30), st.integers(-1, 5)), max_size=60)


@given(SENT, st.lists(st.integers(0, 59), max_size=20), st.lists(st.integers(0, 9), max_size=4), st.integers(1, 64))
def test_whoever_sends_what_accounts_are_exact_and_each_tenants_order_is_kept(
    sent: list[tuple[str, int, int]], gone: list[int], again: list[int], limit: int
) -> None:
    queue = weights(a=2.0, b=0.5)
    made = [make(at, tenant=tenant, rows=rows, level=level) for at, (tenant, rows, level) in enumerate(sent)]
    for call in made:
        queue.append(call)
    for at in {at for at in gone if at < len(made)}:
        queue.release(made[at])
        made[at].cancel()
    left = [call for call in made if call.state is State.QUEUED]
    assert set(queue) == set(left)
    taken: list[Call] = []
    batches = 0
    while batch := queue.take(limit, 0.0, no_expiry):
        assert len(batch) == 1 or sum(call.rows for call in batch) <= limit
        if batches in again:
            queue.put_back(batch)
            batch = []
        taken += batch
        batches += 1
        waiting = [call for call in left if call.state is State.QUEUED]
        assert queue.rows == sum(call.rows for call in waiting)
        assert queue.bytes == sum(len(call.body) for call in waiting)
    assert sorted(map(id, taken)) == sorted(map(id, left))
    for whose in {(call.tenant, level_of(call)) for call in left}:
        order = [call for call in taken if (call.tenant, level_of(call)) == whose]
        assert order == [call for call in left if (call.tenant, level_of(call)) == whose]


@given(
    st.lists(st.sampled_from([0.5, 1.0, 2.0, 4.0]), min_size=2, max_size=5),
    st.integers(1, 12),
    st.integers(20, 200),
)
def test_of_those_that_wait_each_gets_its_share_within_the_largest_call_of_each(
    shares: list[float], largest: int, limit: int
) -> None:
    given_weights = {f"t{at}": weight for at, weight in enumerate(shares)}
    queue = CallQueue(given_weights.__getitem__)
    for at, tenant in enumerate(given_weights):
        for number in range(400):
            queue.append(make(tenant=tenant, rows=1 + (number * (at + 1)) % largest))
    had: dict[str, int] = dict.fromkeys(given_weights, 0)
    for _ in range(2):
        for call in queue.take(limit, 0.0, no_expiry):
            had[call.tenant] += call.rows
    if all(rows < 400 for rows in had.values()):
        normal = [had[tenant] / weight for tenant, weight in given_weights.items()]
        assert max(normal) - min(normal) <= 2 * largest / min(shares)  # Goyal's bound: one call of each of the two


def test_one_with_ten_thousand_waiting_does_not_keep_out_one_with_a_single_call() -> None:
    queue = CallQueue()
    fill(queue, "greedy", 10_000)
    (late,) = fill(queue, "modest", 1)
    assert late in queue.take(4, 0.0, no_expiry)


def test_weights_are_shares_of_a_batch() -> None:
    queue = weights(a=3.0)
    fill(queue, "a", 100)
    fill(queue, "b", 100)
    batch = queue.take(32, 0.0, no_expiry)
    assert abs(rows_of(batch, "a") - 24) <= 1


def test_a_tenant_that_sends_large_calls_gets_no_more_rows() -> None:
    queue = CallQueue()
    fill(queue, "large", 100, rows=16)
    fill(queue, "small", 1000)
    taken = [call for _ in range(20) for call in queue.take(32, 0.0, no_expiry)]
    assert abs(rows_of(taken, "large") - rows_of(taken, "small")) <= 16


def test_one_call_at_a_time_however_large_saves_nothing_up() -> None:
    queue = CallQueue()
    fill(queue, "many", 2000)
    had = {"many": 0, "single": 0}
    queue.append(make(tenant="single", rows=16))
    for _ in range(40):
        for call in queue.take(16, 0.0, no_expiry):
            had[call.tenant] += call.rows
            if call.tenant == "single":
                queue.append(make(tenant="single", rows=16))
    assert had["single"] <= had["many"] + 16


@pytest.mark.parametrize("level", [1, 2, 3])
def test_full_load_of_higher_priority_leaves_a_level_its_guaranteed_share(level: int) -> None:
    queue = CallQueue()
    fill(queue, "", 2000, level=0)
    fill(queue, "", 2000, level=level)
    taken = [call for _ in range(30) for call in queue.take(32, 0.0, no_expiry)]
    share = sum(call.level == level for call in taken) / len(taken)
    assert share == pytest.approx(WEIGHTS[level] / (WEIGHTS[0] + WEIGHTS[level]), abs=0.01)


def test_tenants_share_within_each_level() -> None:
    queue = CallQueue()
    for level in (1, 2):
        fill(queue, "a", 500, level=level)
        fill(queue, "b", 500, level=level)
    taken = [call for _ in range(12) for call in queue.take(20, 0.0, no_expiry)]
    counts = {(call.tenant, call.level) for call in taken}
    assert counts == {("a", 1), ("b", 1), ("a", 2), ("b", 2)}
    assert abs(rows_of(taken, "a") - rows_of(taken, "b")) <= 2


def test_what_was_put_back_goes_first_and_is_counted_once() -> None:
    queue = CallQueue()
    fill(queue, "a", 50)
    fill(queue, "b", 50)
    batch = queue.take(8, 0.0, no_expiry)
    queue.put_back(batch)
    assert set(queue.take(8, 0.0, no_expiry)) == set(batch)
    assert rows_of(queue.take(40, 0.0, no_expiry), "a") == 20


def test_the_expired_count_as_nothing_that_was_had() -> None:
    queue = CallQueue()
    late = fill(queue, "late", 100)
    for call in late[:60]:
        call.deadline = 1.0
    fill(queue, "other", 100)
    expired: list[Call] = []
    batch = queue.take(20, 1.0, expired.append)
    assert expired == late[:60]
    assert rows_of(batch, "late") == rows_of(batch, "other") == 10


def test_an_empty_queue_is_plain_again_and_remembers_nothing() -> None:
    queue = CallQueue()
    fill(queue, "a", 10)
    fill(queue, "b", 1)
    while queue.take(8, 0.0, no_expiry):
        pass
    first = fill(queue, "a", 3)
    assert queue.take(3, 0.0, no_expiry) == first
    assert not hasattr(queue._line, "levels")


def test_tenants_that_come_and_go_are_forgotten() -> None:
    queue = CallQueue()
    fill(queue, "stays", 20_000)
    for number in range(4 * MOST_IDLE):
        queue.append(make(tenant=f"t{number}", rows=50))
        queue.take(1, 0.0, no_expiry)
        queue.take(1, 0.0, no_expiry)
    line = queue._line
    assert hasattr(line, "levels")
    assert len(line.levels[1]._lines) <= 2 * MOST_IDLE


def test_what_is_ahead_of_a_call_is_what_goes_before_it() -> None:
    queue = weights(a=2.0)
    fill(queue, "b", 1000)
    assert queue.ahead(make(tenant="b")) == 1000
    assert queue.ahead(make(tenant="a")) <= 1
    fill(queue, "a", 10)
    call = make(tenant="a")
    ahead = queue.ahead(call)
    queue.append(call)
    before = queue.take(1000, 0.0, no_expiry).index(call)
    assert abs(before - ahead) <= 2


def test_who_has_been_waiting_reckons_with_those_who_come_later_and_go_first() -> None:
    queue = CallQueue()
    fill(queue, "greedy", 1000)
    for _ in range(50):
        fill(queue, "modest", 1)
        queue.take(4, 0.0, no_expiry)
    assert queue.ahead(make(tenant="greedy")) == pytest.approx(queue.rows * 4 / 3, rel=0.05)


@given(SENT, TENANTS, st.integers(0, 3))
def test_nothing_more_than_all_is_ahead(sent: list[tuple[str, int, int]], tenant: str, level: int) -> None:
    queue = CallQueue()
    for who, rows, at in sent:
        queue.append(make(tenant=who, rows=rows, level=at))
    assert 0 <= queue.ahead(make(tenant=tenant, level=level)) <= queue.rows


def test_a_modest_call_takes_the_place_of_the_greediest_ones_last() -> None:
    queue = CallQueue()
    greedy = fill(queue, "greedy", 100)
    fill(queue, "modest", 10)
    assert queue.push_out(make(tenant="modest")) is greedy[-1]
    assert queue.push_out(make(tenant="greedy")) is None
    assert queue.rows == sum(call.rows for call in queue) == 109


def test_an_urgent_call_takes_the_place_of_one_that_can_wait_but_never_below_its_share() -> None:
    queue = CallQueue()
    fill(queue, "", 90, level=3)
    pushed = 0
    while (call := queue.push_out(make(level=1))) is not None:
        assert call.level == 3
        call.cancel()
        queue.append(make(level=1))
        pushed += 1
    assert queue.rows == 90
    assert 90 - pushed == pytest.approx(90 * WEIGHTS[3] / (WEIGHTS[1] + WEIGHTS[3]), abs=2)


def test_alone_nobody_makes_room_for_himself() -> None:
    queue = CallQueue()
    fill(queue, "a", 10)
    assert queue.push_out(make(tenant="a")) is None


@given(SENT, SENT)
def test_pushing_out_keeps_the_accounts(sent: list[tuple[str, int, int]], later: list[tuple[str, int, int]]) -> None:
    queue = weights(a=3.0)
    for who, rows, level in sent:
        queue.append(make(tenant=who, rows=rows, level=level))
    for who, rows, level in later:
        pushed = queue.push_out(make(tenant=who, rows=rows, level=level))
        if pushed is not None:
            pushed.cancel()
    left = list(queue)
    assert queue.rows == sum(call.rows for call in left)
    assert queue.bytes == sum(len(call.body) for call in left)
    taken = []
    while batch := queue.take(16, 0.0, no_expiry):
        taken += batch
    assert sorted(map(id, taken)) == sorted(map(id, left))
