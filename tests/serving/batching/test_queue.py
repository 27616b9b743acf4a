from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.core.call import Call, State
from shoal.serving.batching.queue import CallQueue
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
