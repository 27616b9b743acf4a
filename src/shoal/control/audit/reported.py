"""Records of what nodes have denied at their data ports.

A node tells what came within a few seconds as one batch; it becomes one record for each who and what, in one
transaction, so a batch that could not be written may come again. Nodes are believed, as their key lets them in; which
node it was is in each record. Like those of this port the records are bounded by a rate, of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from shoal.control.audit.denials import BURST, RATE, Allowance, plain
from shoal.core.clock import Clock, monotonic
from shoal.core.keyring import OTHERS, Denied

Detail = dict[str, str | int | float | bool]


class Denial(NamedTuple):
    """A record that is to be made."""

    actor: str
    action: str
    namespace: str
    subject: str
    detail: Detail


class Reported:
    """See the module. May be used from any thread.

    Args:
        write: leaves records, all of them or none.
        clock: monotonic.
        rate, burst: records for each second, and how many may come at once.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Denial]], None],
        *,
        clock: Clock = monotonic,
        rate: float = RATE,
        burst: float = BURST,
    ) -> None:
        self._write = write
        self._allowance = Allowance(clock, rate, burst)
        self._lock = threading.Lock()

    def record(self, node: str, attempts: Sequence[Denied]) -> None:
        """Leave records of a batch, as far as the rate allows; what it does not is counted in the next one.

        Raises:
            ShoalError: nothing of it could be written.
        """
        with self._lock:
            before = self._allowance.left_out
            told = []
            for each in attempts:
                left_out = self._allowance.take(each.count)
                if left_out is not None:
                    told.append(_denial(node, each, left_out))
            try:
                if told:
                    self._write(told)
            except BaseException:
                self._allowance.left_out = before
                raise


def _denial(node: str, told: Denied, left_out: int) -> Denial:
    detail: Detail = {
        "reason": plain(told.kind),
        "count": told.count,
        "first": told.first,
        "last": told.last,
        "source": plain(told.source),
        "node": plain(node),
    }
    if left_out:
        detail["left_out"] = left_out
    wanted = told.permission or (OTHERS if told.kind == OTHERS else "authenticate")
    return Denial(plain(told.who), f"data.{plain(wanted)}", plain(told.namespace), plain(told.model), detail)
