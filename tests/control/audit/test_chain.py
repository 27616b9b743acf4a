"""Whatever is done to a log, the first record that is not what it was is named."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.audit.chain import START, Head, Record, link, verify

Log = list[tuple[Record | None, int, str]]


def log(size: int) -> Log:
    made: Log = []
    before = START
    for number in range(1, size + 1):
        detail = {"version": number, "digest": "d", "big": 1.5}
        record = Record(number, 1000.0 + number, "ann", "stage.move", "default", "iris", detail, "done", f"r{number}")
        before = link(before, record)
        made.append((record, number, before))
    return made


def head(made: Log) -> Head:
    return Head(made[-1][1], made[-1][2]) if made else Head()


SIZES = st.integers(2, 12)
CHANGES: list[dict[str, object]] = [
    {"actor": "bob"}, {"at": 1000.5}, {"subject": ""}, {"outcome": "denied"}, {"request": "x"}, {"namespace": "other"},
    {"action": "x"},
]  # fmt: skip


@given(st.integers(0, 12))
def test_a_whole_log_is_whole(size: int) -> None:
    made = log(size)
    verdict = verify(made, head(made))
    assert (verdict.broken, verdict.records) == (0, size)
    assert Head(verdict.number, verdict.hash) == head(made)
    for record, number, written in made:
        assert record is not None
        assert verify(made, head(made), Head(number, written)).broken == 0


@given(SIZES, st.data())
def test_a_changed_record_is_named(size: int, data: st.DataObject) -> None:
    made = log(size)
    at = data.draw(st.integers(0, size - 1))
    record = made[at][0]
    assert record is not None
    change = data.draw(st.sampled_from([*CHANGES, {"detail": {**record.detail, "version": 99}}]))
    made[at] = (msgspec.structs.replace(record, **change), made[at][1], made[at][2])
    assert verify(made, head(made)).broken == at + 1


@given(SIZES, st.data())
def test_a_missing_record_is_named(size: int, data: st.DataObject) -> None:
    made, kept = log(size), head(log(size))
    at = data.draw(st.integers(0, size - 1))
    del made[at]
    verdict = verify(made, kept)
    assert verdict.broken == at + 1
    assert "cut off" in verdict.reason if at == size - 1 else "missing" in verdict.reason


@given(SIZES, st.data())
def test_swapped_records_are_named(size: int, data: st.DataObject) -> None:
    made = log(size)
    kept = head(made)
    at = data.draw(st.integers(0, size - 2))
    (first, one, _), (second, two, _) = made[at], made[at + 1]
    assert first is not None
    assert second is not None
    made[at] = (msgspec.structs.replace(second, number=one), one, made[at + 1][2])
    made[at + 1] = (msgspec.structs.replace(first, number=two), two, made[at][2])
    assert verify(made, kept).broken == at + 1


@given(SIZES, st.data())
def test_who_rewrites_all_that_follows_is_found_out_by_a_head_that_was_remembered(
    size: int, data: st.DataObject
) -> None:
    made = log(size)
    remembered = head(made)
    cut = data.draw(st.integers(0, size - 1))
    forged = made[:cut]
    verdict = verify(forged, head(forged), remembered)
    assert verdict.broken == cut + 1
    longer = log(size)
    before = longer[cut - 1][2] if cut else START
    for at in range(cut, size):
        record = longer[at][0]
        assert record is not None
        record = msgspec.structs.replace(record, actor="mallory")
        before = link(before, record)
        longer[at] = (record, at + 1, before)
    assert verify(longer, head(longer)).broken == 0
    assert verify(longer, head(longer), remembered).broken == size


def test_a_record_that_was_added_beside_the_head_is_named() -> None:
    made = log(3)
    assert verify(made, head(made[:2])).broken == 3


def test_a_record_that_cannot_be_read_is_named() -> None:
    made = log(3)
    made[1] = (None, 2, made[1][2])
    assert verify(made, head(made)).broken == 2


def test_numbers_may_have_gaps_that_were_always_there() -> None:
    first, second = log(1)[0], Record(7, 1.0, "", "a", "", "", {}, "done", "")
    made: Log = [first, (second, 7, link(first[2], second))]
    assert verify(made, head(made)).broken == 0


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.booleans(), max_size=4))
def test_the_order_of_a_detail_does_not_matter(detail: dict[str, object]) -> None:
    turned = dict(reversed(detail.items()))
    one, other = (Record(1, 0.5, "", "", "", "", each, "done", "") for each in (detail, turned))
    assert link(START, one) == link(START, other)
