"""A gateway's request as a call of this process."""

from __future__ import annotations

from typing import Protocol

from shoal.core.call import Call, Dispatch
from shoal.core.errors import ShoalError
from shoal.serving.hop.messages import Submit


class Outcomes(Protocol):
    """Who is told how calls end."""

    def answered(self, call: HopCall, body: bytes, json_length: int) -> None: ...

    def failed(self, call: HopCall, error: ShoalError) -> None: ...


class HopCall(Call):
    """See the module.

    Attributes:
        guest: the gateway's.
        number: by which the gateway knows it.
        held_rows, held_bytes: what it counts to its gateway until it ends; a queue takes rows and body from it before.
        dispatch: who has it, once somebody has.
    """

    __slots__ = ("dispatch", "guest", "held_bytes", "held_rows", "number")

    def __init__(self, guest: Outcomes, submit: Submit, body: bytes | bytearray, now: float) -> None:
        super().__init__(
            submit.format,
            body,
            arrived=now,
            deadline=now + submit.seconds,
            json_length=submit.json_length,
            rows=submit.rows or 1,
            level=submit.level,
            tenant=submit.tenant,
        )
        self.guest = guest
        self.number = submit.id
        self.held_rows = self.rows
        self.held_bytes = len(body)
        self.dispatch: Dispatch | None = None

    def on_answer(self, body: bytes, json_length: int) -> None:
        self.guest.answered(self, body, json_length)

    def on_error(self, error: ShoalError) -> None:
        self.guest.failed(self, error)
