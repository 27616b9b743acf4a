"""The check at load: does the model answer, and does it answer n rows at once as it answers them one by one?

Inputs come from the author (`warmup`), else they are made up from the signature; a model with text among its inputs is
not asked made-up questions, nor one that says nothing of its inputs. Each request goes the whole way, from bytes to
bytes, as in service. A model that fails on its warm-up, or raises on what its own signature allows, is not ready.

Whether requests may be stacked: as the author says; else as measured; if that was not possible, a ready runtime is
trusted (all of them are row-wise), a `predict` of the user's own is not. Models of strings promise rows by their very
contract, and whole requests are only awaited together: neither is compared.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shoal.core.call import Format
from shoal.core.clock import Clock
from shoal.core.errors import InvalidInput, ModelError, ShoalError
from shoal.core.ipc.messages import OK, Batch, decode_error
from shoal.core.tensors import DTYPES
from shoal.core.types import InferenceRequest, InferenceResponse, Signature, Tensor, TensorSpec
from shoal.core.wire import json_data, v2_binary, v2_json
from shoal.serving.worker.batch import run_batch
from shoal.serving.worker.served import Served
from shoal.serving.worker.typed import Typed

logger = logging.getLogger(__name__)

ROWS = 4
"""Requests that are asked together."""
SIZES = (8, 1, 32, 224)
"""What a dimension of any size is tried with."""
RELATIVE, ABSOLUTE = 1e-4, 1e-5
_FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether requests may be stacked, why not, and a V2 JSON request that works ("" if none is known)."""

    batchable: bool
    reason: str
    example: str


def examine(served: Served, clock: Clock) -> Verdict:
    """Try a model that has just been loaded.

    Raises:
        ShoalError: it does not answer; not ready.
    """
    for at, text in enumerate(served.spec.warmup):
        _try(served, text.encode(), -1, clock, f"its warm-up {at}")
    requests = _warm(served) if served.spec.warmup else _made_up(served, clock)
    example = served.spec.warmup[0] if served.spec.warmup else _example(requests)
    return Verdict(*_batchable(served, requests, clock), example)


def probe(served: Served, example: str, clock: Clock) -> None:
    """Try a model that has been examined before on one request that worked then; "" if none is known.

    Raises:
        ShoalError: it does not answer; not ready.
    """
    if example:
        _try(served, example.encode(), -1, clock, "a request that it has answered before")


def _try(served: Served, body: bytes, json_length: int, clock: Clock, what: str) -> None:
    answers, _ = _ask(served, [(body, json_length)], clock)
    if isinstance(answers[0], ShoalError):
        error = answers[0]
        hint = error.hint or "requests that work can be given as `warmup` in model.yaml"
        raise type(error)(f"{what} fails: {error.message}", hint=hint, field=error.field)


def _ask(
    served: Served, bodies: list[tuple[bytes, int]], clock: Clock
) -> tuple[list[InferenceResponse | ShoalError], int]:
    """Send requests through the worker's whole path, as one batch; also tells how often the adapter was called."""
    count = len(bodies)
    lengths = [len(body) for body, _ in bodies]
    json_lengths = [length for _, length in bodies]
    batch = Batch(0, 0, 1 << 30, bytes([Format.V2_JSON]) * count, lengths, json_lengths, [_FOREVER] * count)
    done, parts = run_batch(served, batch, b"".join(body for body, _ in bodies), clock)
    payload, answers, position = b"".join(parts), [], 0
    for status, length, json_length in zip(done.statuses, done.lengths, done.json_lengths, strict=True):
        answers.append(_read(payload[position : position + length], status, json_length))
        position += length
    return answers, done.executions


def _read(body: bytes, status: int, json_length: int) -> InferenceResponse | ShoalError:
    if status != OK:
        return decode_error(body).to_error()
    return v2_json.decode_response(body) if json_length < 0 else v2_binary.decode_response(body, json_length)


def _warm(served: Served) -> list[InferenceRequest]:
    """The author's first warm-up, and others like it."""
    request = v2_json.decode_request(served.spec.warmup[0].encode(), special=served.spec.allow_nonfinite)
    return [_varied(request, 1 + number / 32) for number in range(ROWS)]


def _varied(request: InferenceRequest, factor: float) -> InferenceRequest:
    """The same request with its floating-point numbers multiplied."""
    inputs = [
        Tensor(each.name, each.shape, each.datatype, (each.data * factor).astype(each.data.dtype))
        if each.data.dtype.kind == "f"
        else each
        for each in request.inputs
    ]
    return InferenceRequest(inputs)


def _made_up(served: Served, clock: Clock) -> list[InferenceRequest]:
    """Requests made up from the signature that the model answers; none if there is nothing to go by.

    Raises:
        ModelError: the model raises on all of them.
    """
    specs = served.signature.inputs
    if not specs or not isinstance(served.style, Typed) or any(each.datatype == "BYTES" for each in specs):
        return []
    first: ModelError | None = None
    for size in SIZES if any(-1 in each.shape[1:] for each in specs) else SIZES[:1]:
        requests = list(make_up(served.signature, size))
        try:
            _try(served, *v2_binary.encode_request(requests[0]), clock, "a request made up from its signature")
        except InvalidInput as error:
            logger.warning("made-up request refused", extra={"model": served.spec.name, "reason": error.message})
            return []
        except ModelError as error:
            first = first or error
        else:
            return requests
    assert first is not None
    raise first


def make_up(signature: Signature, size: int) -> Iterator[InferenceRequest]:
    """Requests of one row each (or as many as the signature insists on), all different, always the same.

    Args:
        signature: inputs, none of them text.
        size: for dimensions of any size.
    """
    random = np.random.default_rng(0)
    for _ in range(ROWS):
        yield InferenceRequest([_made_up_tensor(spec, size, random) for spec in signature.inputs])


def _made_up_tensor(spec: TensorSpec, size: int, random: np.random.Generator) -> Tensor:
    batch = spec.shape[0] if spec.shape and spec.shape[0] > 0 else 1
    shape = (batch, *(each if each > 0 else size for each in spec.shape[1:]))
    dtype = DTYPES[spec.datatype]
    if dtype.kind == "f":
        data = np.round(random.random(shape), 2).astype(dtype)
    else:
        data = random.integers(0, 2, shape).astype(dtype)
    return Tensor(spec.name, list(shape), spec.datatype, data)


def _example(requests: list[InferenceRequest]) -> str:
    if not requests:
        return ""
    return json_data.encode({"inputs": [_written(each) for each in requests[0].inputs]}).decode()


def _written(tensor: Tensor) -> dict[str, object]:
    """A tensor as one writes it by hand: two decimals; FP16 as FP32, as it has no JSON form."""
    array = tensor.data if tensor.data.dtype.kind != "f" else np.round(tensor.data.astype(np.float64), 2)
    datatype = "FP32" if tensor.datatype == "FP16" else tensor.datatype
    return {"name": tensor.name, "shape": tensor.shape, "datatype": datatype, "data": array.ravel().tolist()}


def _batchable(served: Served, requests: list[InferenceRequest], clock: Clock) -> tuple[bool, str]:
    if served.spec.batchable is not None:
        return served.spec.batchable, "" if served.spec.batchable else "its settings say `batchable: false`"
    if not isinstance(served.style, Typed):
        return True, ""
    fixed = [each.name for each in served.signature.inputs if each.shape and each.shape[0] != -1]
    if fixed:
        return False, f"the first dimension of input {fixed[0]!r} is fixed"
    if not requests:
        hint = "not checked: give `warmup` in model.yaml, or say `batchable: true`"
        return (True, "") if served.spec.runtime != "python" else (False, hint)
    reason = _difference(served, requests, clock)
    return not reason, reason


def _difference(served: Served, requests: list[InferenceRequest], clock: Clock) -> str:
    """Why n requests at once are not answered as one by one; empty if they are."""
    bodies = [v2_binary.encode_request(each) for each in requests]
    alone = [_ask(served, [body], clock)[0][0] for body in bodies]
    together, calls = _ask(served, bodies, clock)
    for one, many in zip(alone, together, strict=True):
        if isinstance(one, ShoalError):
            continue
        if isinstance(many, ShoalError):
            return f"several rows at once fail: {many.message}"
        for left, right in zip(one.outputs, many.outputs, strict=True):
            if not _alike(left, right):
                return f"output {left.name!r} of several rows at once is not that of one by one"
    if calls > 1 and not any(isinstance(each, ShoalError) for each in alone):
        return "several rows at once make it raise"
    return ""


def _alike(left: Tensor, right: Tensor) -> bool:
    a, b = left.as_numpy(), right.as_numpy()
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    return bool(np.allclose(a, b, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True))
