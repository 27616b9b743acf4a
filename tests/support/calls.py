"""Calls that remember what became of them."""

from __future__ import annotations

from shoal.core.call import Call, Format
from shoal.core.errors import ShoalError


class RecordedCall(Call):
    """A call whose outcomes can be looked at; more than one would be a bug."""

    __slots__ = ("number", "outcomes", "poisonous")

    def __init__(
        self,
        number: int = 0,
        *,
        arrived: float,
        timeout: float = 60.0,
        rows: int = 1,
        level: int = 1,
        body: bytes = b"",
        tenant: str = "",
    ) -> None:
        super().__init__(
            Format.PREDICT_ALL,
            body or b"%d" % number,
            arrived=arrived,
            deadline=arrived + timeout,
            rows=rows,
            level=level,
            tenant=tenant,
        )
        self.number = number
        self.poisonous = body.startswith(b"poison")
        self.outcomes: list[bytes | ShoalError] = []

    def on_answer(self, body: bytes, json_length: int) -> None:
        self.outcomes.append(body)

    def on_error(self, error: ShoalError) -> None:
        self.outcomes.append(error)

    @property
    def answered(self) -> bytes:
        """The answer; it must have one."""
        (outcome,) = self.outcomes
        assert isinstance(outcome, bytes), outcome
        return outcome

    @property
    def error(self) -> ShoalError:
        """The error; it must have one."""
        (outcome,) = self.outcomes
        assert isinstance(outcome, ShoalError), outcome
        return outcome
