"""One accepted request between the gateway and its model: the ledger entry of the proxy.

A `Call` gets **exactly one** outcome: `answer`, `fail`, or `cancel`. Whoever comes second is told so (`False`) and has
no effect; there is no way to answer twice or to answer a cancelled call. The gateway subclasses it per protocol and
implements `on_answer` and `on_error`; nothing between gateway and worker knows a protocol.

    QUEUED ──▶ DISPATCHED ──▶ DONE
       ▲           │  (its worker died: back to the queue, once)
       └───────────┘
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from shoal.core.errors import ShoalError


class Format(IntEnum):
    """How a body is written, so that the worker can decode it and answer alike."""

    V2_JSON = 1
    V2_PROTO = 2
    V1_JSON = 3
    PREDICT_ALL = 4


INTERACTIVE, BATCH, SHADOW = 1, 2, 3
"""Levels that have a name: somebody waits for the answer; nobody does just now; the answer is only compared."""


class State(IntEnum):
    QUEUED = 0
    DISPATCHED = 1
    DONE = 2


class Call:
    """A request's body and what batching must know of it.

    Attributes:
        format: how `body` is written.
        body: the request as it came, never decoded here. For V2 JSON with binary tensors the JSON comes first.
        json_length: bytes of JSON at the start of `body`; -1 if all of it is JSON (or protobuf); 0 is V2's raw mode.
        rows: its weight in a batch, at least 1 (an estimate; the worker knows).
        level: priority class, 0 is the most urgent.
        arrived: when it was accepted (monotonic seconds).
        deadline: when its time is over (monotonic seconds).
        tenant: whose quota and fair share it counts to; "": nobody's in particular.
        attempts: how many times a worker has died with it.
        state: see the module.
    """

    __slots__ = ("arrived", "attempts", "body", "deadline", "format", "json_length", "level", "rows", "state", "tenant")

    def __init__(
        self,
        format: Format,
        body: bytes | bytearray | memoryview,
        *,
        arrived: float,
        deadline: float,
        json_length: int = -1,
        rows: int = 1,
        level: int = 1,
        tenant: str = "",
    ) -> None:
        self.format = format
        self.body = body
        self.json_length = json_length
        self.rows = rows
        self.level = level
        self.arrived = arrived
        self.deadline = deadline
        self.tenant = tenant
        self.attempts = 0
        self.state = State.QUEUED

    def answer(self, body: bytes, json_length: int) -> bool:
        """Deliver the encoded response. `json_length` is -1, or the bytes of JSON that lead a binary V2 response."""
        if self.state is State.DONE:
            return False
        self.state = State.DONE
        self.on_answer(body, json_length)
        return True

    def fail(self, error: ShoalError) -> bool:
        """Deliver an error."""
        if self.state is State.DONE:
            return False
        self.state = State.DONE
        self.on_error(error)
        return True

    def cancel(self) -> bool:
        """The caller has gone: no outcome is delivered any more."""
        if self.state is State.DONE:
            return False
        self.state = State.DONE
        return True

    def on_answer(self, body: bytes, json_length: int) -> None:
        """What the gateway does with the response."""
        raise NotImplementedError

    def on_error(self, error: ShoalError) -> None:
        """What the gateway does with an error."""
        raise NotImplementedError


class Dispatch(Protocol):
    """What takes calls of one model version: the local batcher, or (split over processes) a remote proxy."""

    def submit(self, call: Call) -> None:
        """Take the call over. Never raises: whatever goes wrong is an outcome of the call."""

    def cancel(self, call: Call) -> None:
        """The caller has gone: free what the call holds; if it is still queued it is never executed."""
