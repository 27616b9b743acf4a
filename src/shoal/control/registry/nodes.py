"""The nodes that have reported lately.

Kept in memory: after a restart of control the next heartbeats fill it again, within seconds. Ages are monotonic: a jump
of the clock on the wall makes nobody old.
"""

from __future__ import annotations

import threading

from shoal.core.clock import Clock, monotonic
from shoal.core.routes import NodeStatus


class Nodes:
    """The last report of each node."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._reports: dict[str, tuple[float, NodeStatus]] = {}

    def report(self, status: NodeStatus, now: float | None = None) -> None:
        """Keep a node's newest report."""
        with self._lock:
            self._reports[status.node] = (self._clock() if now is None else now, status)

    def nodes(self, max_age: float) -> list[NodeStatus]:
        """Those that have reported within so many seconds, by name; the others are forgotten."""
        oldest = self._clock() - max_age
        with self._lock:
            self._reports = {node: each for node, each in self._reports.items() if each[0] >= oldest}
            return [status for _, (_, status) in sorted(self._reports.items())]
