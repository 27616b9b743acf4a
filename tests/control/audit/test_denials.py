from __future__ import annotations

from typing import Any

from shoal.control.audit.denials import MAX_TEXT, Denials
from shoal.core.clock import ManualClock
from shoal.core.errors import StorageFull


def test_beyond_the_rate_records_are_counted_and_the_next_one_tells() -> None:
    clock, told = ManualClock(), list[Any]()
    denials = Denials(lambda *record: told.append(record), clock=clock, rate=1.0, burst=2.0)
    for _ in range(5):
        denials.record("ann", "use", "default", "iris", {"reason": "no"}, "r")
    assert len(told) == 2
    clock.advance(1.0)
    denials.record("ann", "use", "default", "iris", {}, "r")
    assert told[-1] == ("ann", "use", "default", "iris", {"left_out": 3})


def test_text_from_outside_is_bounded_and_can_be_kept() -> None:
    told = list[Any]()
    denials = Denials(lambda *record: told.append(record))
    denials.record("", "use", "a\0b\ud800\x1b[31m", "x" * 10_000, {"reason": "\n"}, "")
    _, _, namespace, subject, detail = told[0]
    assert (namespace, detail) == ("a�b��[31m", {"reason": "�"})
    assert len(subject) == MAX_TEXT


def test_a_registry_that_cannot_write_does_not_let_anybody_in() -> None:
    def full(*_: Any) -> None:
        raise StorageFull("no room")

    Denials(full).record("", "use", "", "", {}, "")
