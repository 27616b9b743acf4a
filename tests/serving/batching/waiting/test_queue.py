from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.call import Call, State
from shoal.serving.batching.waiting.queue import COMPACT, CallQueue
from support.calls import RecordedCall


def make(number: int = 0, **fields: int) -> RecordedCall:
    return RecordedCall(number, arrived=0.0, **fields)  # type: ignore[arg-type]


def no_expiry(call: Call) -> None:
    raise AssertionError("nothing has expired")


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(-1, 6)), max_size=60),
    st.lists(st.integers(0, 59), max_size=20),
    st.integers(1, 64),
)
def test_accounts_are_exact_and_no_call_is_lost_or_doubled(
    calls: list[tuple[int, int]], gone: list[int], limit: int
) -> None:
    queue = CallQueue()
    made = [make(at, rows=rows, level=level) for at, (rows, level) in enumerate(calls)]
    for call in made:
        queue.append(call)
    for at in {at for at in gone if at < len(made)}:
        queue.release(made[at])
        made[at].cancel()
    left = [call for call in made if call.state is State.QUEUED]
    assert queue.rows == sum(call.rows for call in left)
    assert queue.bytes == sum(len(call.body) for call in left)
    assert set(queue) == set(left)
    taken: list[Call] = []
    while batch := queue.take(limit, 0.0, no_expiry):
        assert len(batch) == 1 or sum(call.rows for call in batch) <= limit
        taken += batch
    assert sorted(map(id, taken)) == sorted(map(id, left))
    assert (queue.rows, queue.bytes) == (0, 0)


def test_within_a_level_it_is_first_come_first_served() -> None:
    queue = CallQueue()
    made = [make(at) for at in range(10)]
    for call in made:
        queue.append(call)
    assert queue.take(4, 0.0, no_expiry) == made[:4]
    queue.put_back(made[:4])
    assert queue.take(6, 0.0, no_expiry) == made[:6]


def test_the_expired_are_given_away_and_not_taken() -> None:
    queue = CallQueue()
    made = [make(at) for at in range(3)]
    made[1].deadline = 5.0
    for call in made:
        queue.append(call)
    expired: list[Call] = []
    assert queue.take(9, 5.0, expired.append) == [made[0], made[2]]
    assert expired == [made[1]]
    assert queue.rows == 0


def test_a_call_that_ended_elsewhere_gives_its_rows_back_when_it_is_met() -> None:
    queue = CallQueue()
    made = [make(at) for at in range(2)]
    for call in made:
        queue.append(call)
    made[0].cancel()
    assert queue.take(9, 0.0, no_expiry) == [made[1]]
    assert (queue.rows, queue.bytes) == (0, 0)


def test_of_what_is_put_back_those_that_have_ended_meanwhile_stay_away() -> None:
    queue = CallQueue()
    made = [make(at, rows=2) for at in range(4)]
    for call in made:
        queue.append(call)
    taken = queue.take(6, 0.0, no_expiry)
    taken[1].cancel()
    queue.put_back(taken)
    assert (queue.rows, list(queue)) == (6, [made[0], made[2], made[3]])


@pytest.mark.parametrize("levels", [[1], [0, 3]], ids=["plain", "in turns"])
def test_entries_of_calls_that_have_gone_are_few(levels: list[int]) -> None:
    queue = CallQueue()
    made = [make(at, level=levels[at % len(levels)]) for at in range(200)]
    for call in made:
        queue.append(call)
    for left, call in enumerate(made[:190], 1):
        queue.release(call)
        call.cancel()
        assert len(queue._line) <= max(2 * (200 - left), 200 - left + COMPACT) + 1
        assert (queue.rows, len(list(queue))) == (200 - left, 200 - left)
    assert queue._empty <= COMPACT


def test_a_few_that_have_gone_cost_no_look_over_all() -> None:
    queue = CallQueue()
    made = [make(at) for at in range(4 * COMPACT)]
    for call in made:
        queue.append(call)
    for call in made[: 2 * COMPACT]:
        queue.release(call)
        call.cancel()
        assert len(queue._line) == 4 * COMPACT
    few = CallQueue()
    made = [make(at) for at in range(COMPACT)]
    for call in made:
        few.append(call)
    for call in made:
        few.release(call)
        call.cancel()
    assert len(few._line) == COMPACT


def test_what_was_dropped_on_the_way_is_no_empty_entry_any_more() -> None:
    queue = CallQueue()
    made = [make(at) for at in range(10)]
    for call in made:
        queue.append(call)
    for call in made[:4]:
        queue.release(call)
        call.cancel()
    made[4].cancel()  # not released
    assert queue.take(0, 0.0, no_expiry) == [made[5]]
    queue.put_back([made[5]])
    assert queue.take(2, 0.0, no_expiry) == made[5:7]
    assert (queue._empty, queue.rows, queue.bytes) == (0, 3, 3)


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_a_call_that_is_larger_than_a_batch_goes_alone_and_one_that_fits_goes_along(limit: int) -> None:
    queue = CallQueue()
    made = [make(at, rows=rows) for at, rows in enumerate((5, 3, 1, 1))]
    for call in made:
        queue.append(call)
    sizes = []
    while batch := queue.take(limit, 0.0, no_expiry):
        sizes.append([call.rows for call in batch])
    assert sizes == {1: [[5], [3], [1], [1]], 4: [[5], [3, 1], [1]], 100: [[5, 3, 1, 1]]}[limit]


def test_alone_is_alone() -> None:
    queue = CallQueue()
    for at in range(3):
        queue.append(make(at))
    assert [len(queue.take(100, 0.0, no_expiry, alone=True)) for _ in range(4)] == [1, 1, 1, 0]


def test_the_urgent_are_those_that_somebody_waits_for() -> None:
    for levels, urgent in (((0, 0), 4), ((1, 1), 4), ((2, 2), 0), ((3, 3), 0), ((0, 1, 2, 3), 4)):
        queue = CallQueue()
        for level in levels:
            queue.append(make(rows=2, level=level))
        assert queue.urgent == urgent, levels


def test_its_head_are_the_next_ones_of_each_level_that_wait() -> None:
    queue = CallQueue()
    plain = [make(at) for at in range(4)]
    for call in plain:
        queue.append(call)
    queue.release(plain[0])
    plain[0].cancel()
    assert queue.head(2) == plain[1:3]
    less = [make(at, level=3) for at in range(4)]
    for call in less:
        queue.append(call)
    assert queue.head(2) == [*plain[1:3], *less[:2]]


def test_in_one_line_all_that_wait_are_ahead_and_nobody_makes_room() -> None:
    queue = CallQueue()
    assert queue.ahead(make()) == 0
    assert queue.push_out(make(tenant="b")) is None
    for at in range(3):
        queue.append(make(at, rows=2))
    assert queue.ahead(make(rows=5)) == 6
    assert queue.push_out(make()) is None
    assert not hasattr(queue._line, "levels")


def test_what_is_pushed_out_is_not_counted_any_more() -> None:
    queue = CallQueue()
    for at in range(5):
        queue.append(make(at, rows=2))
    pushed = queue.push_out(RecordedCall(arrived=0.0, tenant="other"))
    assert pushed is not None
    assert (queue.rows, queue.bytes) == (8, 4)


def test_entries_that_are_met_are_counted_one_by_one() -> None:
    queue = CallQueue()
    made = [make(at) for at in range(4)]
    for call in made:
        queue.append(call)
    for call in (made[0], made[3]):
        queue.release(call)
        call.cancel()
    assert queue.take(1, 0.0, no_expiry) == [made[1]]
    assert queue._empty == 1


def test_who_has_gone_is_not_counted_among_the_urgent() -> None:
    queue = CallQueue()
    made = [make(at, rows=2, level=level) for at, level in enumerate((1, 1, 3))]
    for call in made:
        queue.append(call)
    queue.release(made[0])
    made[0].cancel()
    assert queue.urgent == 2
    made[1].deadline = 1.0
    assert queue.take(9, 1.0, lambda call: None) == [made[2]]
    assert (queue.urgent, queue.rows) == (0, 0)
