"""Calls in every format and a model that answers them by hand, for what stands between gateway and batcher."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.call import Call, Format, State
from shoal.core.errors import DeadlineExceeded, ModelError, ShoalError


class AskedCall(Call):
    """A call that remembers its outcomes, and may do something when it gets one."""

    __slots__ = ("and_then", "asked", "outcomes")

    def __init__(
        self,
        body: bytes,
        *,
        format: Format = Format.V2_JSON,
        json_length: int = -1,
        arrived: float = 1000.0,
        timeout: float = 60.0,
        level: int = 1,
    ) -> None:
        super().__init__(
            format, body, arrived=arrived, deadline=arrived + timeout, json_length=json_length, level=level
        )
        self.asked = body
        self.outcomes: list[tuple[bytes, int] | ShoalError] = []
        self.and_then: Callable[[], None] = lambda: None

    def on_answer(self, body: bytes, json_length: int) -> None:
        self.outcomes.append((body, json_length))
        self.and_then()

    def on_error(self, error: ShoalError) -> None:
        self.outcomes.append(error)
        self.and_then()

    @property
    def answered(self) -> bytes:
        """The answer; it must have one."""
        (outcome,) = self.outcomes
        assert isinstance(outcome, tuple), outcome
        return outcome[0]

    @property
    def error(self) -> ShoalError:
        """The error; it must have one."""
        (outcome,) = self.outcomes
        assert isinstance(outcome, ShoalError), outcome
        return outcome


class HandModel:
    """Implements `Dispatch`: calls wait until the test says what becomes of them."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.seen: list[bytes] = []
        self.cancelled: list[Call] = []
        self.refusal: ShoalError | None = None

    def submit(self, call: Call) -> None:
        assert call.state is not State.DONE
        assert call not in self.calls, "a call was submitted twice"
        self.seen.append(bytes(call.body))
        if self.refusal is not None:
            call.fail(self.refusal)
        else:
            self.calls.append(call)

    def cancel(self, call: Call) -> None:
        if call in self.calls:
            self.calls.remove(call)
        self.cancelled.append(call)
        call.cancel()

    def finish(self, at: int = 0) -> Call:
        """A call is answered as a worker would: with what it asked, the number of runs so far, and its id."""
        call = self.calls.pop(at)
        call.answer(*answer_to(call, len(self.seen)))
        return call

    def fail(self, at: int = 0, error: ShoalError | None = None) -> None:
        self.calls.pop(at).fail(error or ModelError("raised"))

    def expire(self, now: float) -> None:
        """Calls whose time is over get their error, as the batcher gives it."""
        for call in [each for each in self.calls if each.deadline <= now]:
            self.calls.remove(call)
            call.fail(DeadlineExceeded("too late"))


def answer_to(call: Call, number: int) -> tuple[bytes, int]:
    """What a worker would answer: `outputs` tell the inputs and a number."""
    if call.format == Format.V2_PROTO:
        request = pb.ModelInferRequest.FromString(bytes(call.body))
        output = pb.ModelInferResponse.InferOutputTensor(name=request.inputs[0].name, shape=[number])
        return pb.ModelInferResponse(model_name="m", id=request.id, outputs=[output]).SerializeToString(), -1
    if call.format == Format.V2_JSON and call.json_length != 0:
        end = call.json_length
        text, raw = (bytes(call.body), b"") if end < 0 else (bytes(call.body[:end]), bytes(call.body[end:]))
        request = msgspec.json.decode(text)
        named = {"id": request["id"]} if request.get("id") is not None else {}
        head = msgspec.json.encode({"model_name": "m", **named, "outputs": [request["inputs"], number]})
        return head + raw, -1 if end < 0 else len(head)
    return b'{"outputs":["%d"]}' % number, -1


def ask(data: object = 1, *, id: str | None = None, **fields: object) -> bytes:
    """A V2 request with this data."""
    named = {"id": id} if id is not None else {}
    inputs = [{"name": "x", "shape": [1], "datatype": "FP64", "data": [data]}]
    return msgspec.json.encode({**named, "inputs": inputs, **fields})
