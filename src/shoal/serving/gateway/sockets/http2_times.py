"""Since when nothing has moved on a connection: what `Http2Connection.sweep` needs to know beyond its streams."""

from __future__ import annotations


class Times:
    """Looked at about once per second; all times are monotonic seconds.

    Attributes:
        idle_since: when a stream was last seen open.
        written: bytes given to the transport.
    """

    __slots__ = ("_cut_at", "_cut_id", "_flushed", "_flushed_at", "idle_since", "written")

    def __init__(self, now: float) -> None:
        self.idle_since = now
        self.written = 0
        self._flushed = -1
        self._flushed_at = self._cut_at = now
        self._cut_id = -1

    def is_stuck(self, pending: int, now: float, patience: float) -> bool:
        """Whether the client has read nothing of `pending` bytes for too long."""
        flushed = self.written - pending if pending else -1
        if flushed != self._flushed:
            self._flushed, self._flushed_at = flushed, now
        return pending > 0 and now - self._flushed_at > patience

    def is_cut_off(self, partial_id: int, now: float, patience: float) -> bool:
        """Whether the same frame (-1: none) has been incomplete for too long."""
        if partial_id != self._cut_id or partial_id < 0:
            self._cut_id, self._cut_at = partial_id, now
        return now - self._cut_at > patience
