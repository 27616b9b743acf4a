"""A level's accounts, row by row: who is next, what is ahead, who holds most, what is forgotten."""

from __future__ import annotations

import pytest

from shoal.core.call import Call
from shoal.serving.batching.waiting.queue import CallQueue
from shoal.serving.batching.waiting.turns import LEVELS, MEASURED, MOST_IDLE, WEIGHTS, Level, Turns, level_of
from support.calls import RecordedCall


def make(number: int = 0, **fields: object) -> RecordedCall:
    return RecordedCall(number, arrived=0.0, **fields)  # type: ignore[arg-type]


def no_expiry(call: Call) -> None:
    raise AssertionError("nothing has expired")


def fill(queue: CallQueue, tenant: str, count: int, **fields: object) -> None:
    for at in range(count):
        queue.append(make(at, tenant=tenant, **fields))


def level_with(**rows: int) -> Level:
    """A level of tenants with so many calls of one row each; "heavy" weighs twice as much as others."""
    level = Level(1.0, lambda tenant: 2.0 if tenant == "heavy" else 1.0)
    for tenant, count in rows.items():
        for at in range(count):
            level.append(make(at, tenant=tenant), 0)
    return level


def test_levels_out_of_range_are_the_last() -> None:
    assert [level_of(make(level=level)) for level in (-1, 0, 1, 3, 4, 99)] == [3, 0, 1, 3, 3, 3]
    assert len(WEIGHTS) == LEVELS


def test_what_a_tenant_gets_is_measured_after_some_rows() -> None:
    level = level_with(a=300, b=100)
    had = 0
    while had < MEASURED:
        assert level.measured("a", had) == (0, 0.0)
        had += level.pop().rows
    assert level.measured("a", had) == (268, 0.5)
    assert level.measured("nobody", had) == (0, 0.0)


def test_a_tenant_whose_calls_have_gone_is_measured_anew() -> None:
    level = level_with(a=1, b=200)
    had = 0
    for _ in range(100):
        had += level.pop().rows
    assert level.measured("a", had) == (0, 0.0)
    level.append(make(tenant="a"), had)
    level.append(make(tenant="a"), had)
    for _ in range(MEASURED):
        had += level.pop().rows
        level.append(make(tenant="a"), had)
    waiting, share = level.measured("a", had)
    assert waiting == 2 + MEASURED - level._lines["a"].had
    assert share == level._lines["a"].had / MEASURED == 0.5


def test_what_was_long_ago_counts_for_less() -> None:
    level, long = level_with(a=10), 64 * MEASURED
    line = level._lines["a"]
    line.had = long // 2
    assert level.measured("a", long) == (10, 0.5)
    assert (line.had, line.since) == (long // 2, 0)
    line.had = (long + 2) // 2
    assert level.measured("a", long + 2) == (10, 0.5)
    assert (line.had, line.since) == ((long + 2) // 4, (long + 2) // 2)
    line.had, line.since = 100, 10_000
    assert level.measured("a", 10_000 + MEASURED) == (10, 100 / MEASURED)
    assert (line.had, line.since) == (100, 10_000)


def test_what_is_ahead_in_a_level_is_its_own_and_what_others_get_meanwhile() -> None:
    level = level_with(a=10, b=100, heavy=100)
    assert level.ahead("a", 1) == 10 + 11 * 3
    assert level.ahead("heavy", 2) == pytest.approx(100 + 102 * 2 / 2)
    assert level.ahead("new", 1) == 1 * 4
    assert level.ahead("b", 100) == level.rows == 210


def test_who_holds_most_for_its_weight_is_the_fullest() -> None:
    level = level_with(a=10, heavy=18)
    assert level.fullest() is level._lines["a"]
    assert level.holds("heavy") == (18, 2.0)
    assert level.holds("new") == (0, 1.0)
    assert level_with().fullest() is None


def test_pushing_out_skips_those_that_have_ended_and_empties_a_line_for_good() -> None:
    level = level_with(a=3, b=1)
    last = level._lines["a"].calls[-1]
    level.forget(last)
    last.rows = 0
    last.cancel()
    assert level.rows == 3
    pushed, gone = level.push_out(level._lines["a"])
    assert pushed is not None
    assert (pushed.rows, gone, level.rows, level._lines["a"].rows) == (1, 2, 2, 1)
    assert level.push_out(level._lines["a"])[1] == 1
    assert [level.pop().tenant for _ in range(level.rows)] == ["b"]
    assert not level
    assert level._shares == 0


def test_a_line_that_holds_only_ended_calls_gives_none() -> None:
    level = level_with(a=1)
    for call in list(level):
        level.forget(call)
        call.rows = 0
        call.cancel()
    assert level.push_out(level._lines["a"]) == (None, 1)
    assert not level


def test_keeping_counts_what_is_left() -> None:
    level = level_with(a=3, b=1)
    assert level.keep(lambda call: call.tenant == "a") == 3
    assert level._shares == 1.0
    assert [call.tenant for call in level] == ["a"] * 3


def test_what_is_put_back_is_given_back_to_its_tenant() -> None:
    level = level_with(heavy=4, b=4)
    call = level.pop()
    assert (call.tenant, level._lines["heavy"].start) == ("heavy", 0.5)
    level.put_back(call)
    assert (level._lines["heavy"].start, level.rows, level._lines["heavy"].rows) == (0.0, 8, 4)


def test_one_that_is_put_back_where_nothing_waits_starts_where_the_others_are() -> None:
    level = level_with(a=1, b=50)
    only = level.pop()
    assert only.tenant == "a"
    for _ in range(40):
        level.pop()
    level.put_back(only)
    assert level._lines["a"].start == level._virtual - 1


def test_entries_come_about_in_the_order_in_which_they_are_taken() -> None:
    level = level_with(a=3, b=2)
    assert [call.tenant for call in level] == ["a", "b", "a", "b", "a"]
    turns = Turns(lambda tenant: 1.0)
    for at in (3, 0, 1):
        turns.append(make(level=at))
    assert [call.level for call in turns] == [0, 1, 3]
    assert len(turns) == 3


def test_those_who_have_had_more_than_others_are_remembered_and_others_forgotten() -> None:
    level = level_with(a=4)
    level._lines["a"].calls.clear()
    level._arrange()
    level._virtual = 1.0
    for tenant, start in (("owes", 5.0), ("even", 1.0)):
        level._line(tenant).start = start
    level._tidy()
    assert set(level._lines) == {"owes"}
    assert level._tidy_at == MOST_IDLE


@pytest.mark.parametrize("owing", [MOST_IDLE // 2, MOST_IDLE // 2 + 1])
def test_if_too_many_have_had_more_all_are_forgiven(owing: int) -> None:
    level = level_with(stays=1)
    for number in range(owing):
        level._line(f"t{number}").start = 5.0
    level._tidy()
    assert len(level._lines) == 1 + (owing if owing <= MOST_IDLE // 2 else 0)
    assert level._tidy_at == MOST_IDLE + 1


def test_what_comes_from_other_levels_is_ahead_by_their_weight() -> None:
    turns = Turns(lambda tenant: 1.0)
    for level, count in ((0, 100), (1, 5), (3, 2)):
        for at in range(count):
            turns.append(make(at, level=level))
    own = 5  # of level 1: to have got 6 rows of weight 4, level 0 gets 12 of weight 8, and level 3 1.5 of weight 1
    assert turns.ahead(make(level=1)) == pytest.approx(own + 12 + 1.5)
    assert turns.ahead(make(level=3)) == pytest.approx(2 + min(100, 24) + min(5, 12))


def test_who_is_measured_reckons_with_what_it_gets() -> None:
    turns = Turns(lambda tenant: 1.0)
    for at in range(200):
        turns.append(make(at, tenant="a"))
        turns.append(make(at, tenant="b"))
    for _ in range(2 * MEASURED):
        turns.popleft()
    assert turns.ahead(make(tenant="a", rows=3)) == (200 - MEASURED + 3) / 0.5 - 3


def test_a_call_that_would_hold_as_much_as_the_fullest_pushes_nobody_out() -> None:
    queue = CallQueue()
    fill(queue, "a", 10)
    fill(queue, "b", 8)
    assert queue.push_out(make(tenant="b", rows=2)) is None
    assert queue.push_out(make(tenant="b", rows=1)) is not None
    levels = CallQueue()
    fill(levels, "", 8, level=1)
    fill(levels, "", 2, level=3)
    assert levels.push_out(make(level=1)) is None
    assert levels.push_out(make(level=3, tenant="c")) is not None


def test_a_level_that_comes_back_has_saved_nothing_up() -> None:
    queue = CallQueue()
    fill(queue, "", 1, level=1)
    fill(queue, "", 400, level=0)
    for _ in range(20):
        queue.take(10, 0.0, no_expiry)
    fill(queue, "", 100, level=1)
    taken = queue.take(30, 0.0, no_expiry)
    assert sum(call.level == 1 for call in taken) == pytest.approx(10, abs=1)


def test_ended_entries_in_turns_are_neither_counted_nor_kept() -> None:
    turns = Turns(lambda tenant: 1.0)
    calls = [make(at, level=at % 2) for at in range(6)]
    for call in calls:
        turns.append(call)
    turns.forget(calls[0])
    assert [level.rows for level in turns.levels] == [2, 3, 0, 0]
    turns.keep(lambda call: call is not calls[0])
    assert len(turns) == 5


def test_levels_are_served_from_where_they_are() -> None:
    turns = Turns(lambda tenant: 1.0)
    for at in range(3):
        turns.append(make(at, level=0, rows=8))
        turns.append(make(at, level=3, rows=1))
    order = [(call.level, turns._virtual) for call in (turns.popleft() for _ in range(4))]
    assert order == [(0, 0.0), (3, 0.0), (0, 1.0), (3, 1.0)]
    assert turns._had == 18
    back = make(level=0, rows=8)
    turns.appendleft(back)
    assert turns.levels[0].start == 1.0
    assert (turns[0], len(turns)) == (back, 3)


def test_a_level_that_was_empty_starts_where_the_others_are_and_one_that_was_not_stays_where_it_is() -> None:
    turns = Turns(lambda tenant: 1.0)
    for at in range(10):
        turns.append(make(at, level=0, rows=8))
    taken = [turns.popleft() for _ in range(5)]
    assert turns._virtual == 4.0
    turns.append(make(level=3))
    assert turns.levels[3].start == 4.0
    turns.appendleft(taken[-1])
    turns.appendleft(taken[-2])
    assert turns.levels[0].start == 3.0
    turns.append(make(level=0))
    assert turns.levels[0].start == 3.0


def test_a_level_that_would_hold_as_much_as_the_fullest_takes_no_place_of_its() -> None:
    queue = CallQueue()
    fill(queue, "", 7, level=1)
    fill(queue, "", 2, level=3)
    assert queue.push_out(make(level=1)) is None
    fill(queue, "", 1, level=3)
    pushed = queue.push_out(make(level=1))
    assert pushed is not None
    assert pushed.level == 3


@pytest.mark.parametrize(("waiting", "pushed"), [(8, 0), (9, None)])
def test_what_a_level_holds_is_compared_by_its_weight(waiting: int, pushed: int | None) -> None:
    queue = CallQueue()
    fill(queue, "", 80, level=0)
    fill(queue, "", waiting, level=3)
    call = queue.push_out(make(level=3))
    assert (None if call is None else call.level) == pushed


def test_a_tenant_of_more_weight_may_hold_more_before_it_makes_room_itself() -> None:
    queue = CallQueue(lambda tenant: 4.0 if tenant == "heavy" else 1.0)
    fill(queue, "a", 10)
    fill(queue, "heavy", 38)
    pushed = queue.push_out(make(tenant="heavy"))
    assert pushed is not None
    assert pushed.tenant == "a"
    assert queue.push_out(make(tenant="heavy", rows=2)) is None


def test_the_next_is_of_who_has_had_least_also_after_all_was_arranged_anew() -> None:
    level = level_with(a=3, b=3, c=3)
    for tenant, start in (("a", 5.0), ("b", 3.0), ("c", 1.0)):
        level._lines[tenant].start = start
    level._arrange()
    assert level.next.tenant == "c"


def test_idle_tenants_are_remembered_until_there_are_too_many() -> None:
    level = level_with()
    for number in range(MOST_IDLE):
        level._line(f"t{number}")
        assert len(level._lines) == number + 1
    level._line("one more")
    assert set(level._lines) == {"one more"}
