"""What nodes have denied, as records: bounded by a rate, whole or not at all, and nothing uncounted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shoal.control.audit.reported import Denial, Reported
from shoal.core.clock import ManualClock
from shoal.core.errors import Unavailable
from shoal.core.keyring import OTHERS, Denied

ANN = Denied(kind="permission_denied", who="ann", permission="infer", namespace="default", model="iris", count=3)


class Log:
    """Takes records, or does not."""

    def __init__(self) -> None:
        self.records: list[Denial] = []
        self.broken = False

    def write(self, told: Sequence[Denial]) -> None:
        if self.broken:
            raise Unavailable("the database is busy")
        self.records += told

    @property
    def counted(self) -> int:
        """Attempts that the records tell of."""
        return sum(int(each.detail["count"]) + int(each.detail.get("left_out", 0)) for each in self.records)


def test_a_batch_becomes_a_record_for_each_who_and_what() -> None:
    log = Log()
    Reported(log.write).record("node-1", [ANN, Denied(kind="unauthenticated", who="\n"), Denied(kind=OTHERS, count=9)])
    assert [each[:4] for each in log.records] == [
        ("ann", "data.infer", "default", "iris"),
        ("�", "data.authenticate", "", ""),
        ("", "data.others", "", ""),
    ]
    detail = log.records[0].detail
    assert (detail["count"], detail["node"], detail["reason"]) == (3, "node-1", "permission_denied")


def test_beyond_the_rate_attempts_are_counted_in_the_next_record() -> None:
    clock, log = ManualClock(), Log()
    reported = Reported(log.write, clock=clock, rate=1.0, burst=2.0)
    reported.record("node-1", [ANN] * 5)
    assert len(log.records) == 2
    clock.advance(1.0)
    reported.record("node-1", [ANN])
    assert log.records[-1].detail["left_out"] == 9
    assert log.counted == 6 * 3


def test_a_batch_that_could_not_be_written_may_come_again_and_is_counted_once() -> None:
    clock, log = ManualClock(), Log()
    reported = Reported(log.write, clock=clock, rate=1.0, burst=2.0)
    log.broken = True
    with pytest.raises(Unavailable):
        reported.record("node-1", [ANN] * 3)
    log.broken = False
    clock.advance(100.0)
    reported.record("node-1", [ANN] * 3)
    clock.advance(100.0)
    reported.record("node-1", [ANN])
    assert log.counted == 4 * 3
