"""Hypothesis strategies for tensors, requests and responses of every datatype."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shoal.core.tensors import DTYPES
from shoal.core.types import InferenceRequest, InferenceResponse, RequestedOutput, Tensor

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
parameters = st.none() | st.dictionaries(
    names.filter(lambda name: not name.startswith("binary")),
    st.text(st.characters(codec="utf-8"), max_size=5)
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.floats(-9, 9),
    min_size=1,
    max_size=2,
)
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3)
ids = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@st.composite
def tensors(draw: st.DrawFn, name: str = "x", *, fp16: bool = True, text: bool = False, finite: bool = True) -> Tensor:
    """One tensor; `text` keeps BYTES to UTF-8."""
    datatype = draw(st.sampled_from([each for each in DTYPES if fp16 or each != "FP16"]))
    shape = draw(shapes)
    if datatype == "BYTES":
        size = int(np.prod(shape))
        element = st.text(st.characters(codec="utf-8"), max_size=6).map(str.encode) if text else st.binary(max_size=6)
        items = draw(st.lists(element, min_size=size, max_size=size))
        array = np.empty(size, dtype=object)
        array[:] = items
        return Tensor(name, shape, datatype, array.reshape(shape), draw(parameters))
    options: dict[str, Any] = {}
    if DTYPES[datatype].kind == "f" and finite:
        options = {"allow_nan": False, "allow_infinity": False}
    elements = hnp.from_dtype(DTYPES[datatype], **options)
    return Tensor(
        name, shape, datatype, draw(hnp.arrays(DTYPES[datatype], tuple(shape), elements=elements)), draw(parameters)
    )


@st.composite
def requests(draw: st.DrawFn, **options: bool) -> InferenceRequest:
    """A request of one to three inputs."""
    inputs = [draw(tensors(name, **options)) for name in draw(st.lists(names, min_size=1, max_size=3, unique=True))]
    outputs = None
    if draw(st.booleans()):
        wanted = draw(st.lists(names, min_size=1, max_size=2, unique=True))
        outputs = [RequestedOutput(name, draw(parameters)) for name in wanted]
    return InferenceRequest(inputs, draw(ids), draw(parameters), outputs)


@st.composite
def responses(draw: st.DrawFn, **options: bool) -> InferenceResponse:
    """A response of one to three outputs."""
    outputs = [draw(tensors(name, **options)) for name in draw(st.lists(names, min_size=1, max_size=3, unique=True))]
    return InferenceResponse(outputs, "model", draw(st.none() | st.just("3")), draw(ids), draw(parameters))


def same_tensor(left: Tensor, right: Tensor) -> bool:
    """Whether name, datatype, shape, parameters and every bit of the data are equal."""
    if (left.name, left.datatype, list(left.shape)) != (right.name, right.datatype, list(right.shape)):
        return False
    if (left.parameters or None) != (right.parameters or None):
        return False
    a, b = left.as_numpy(), right.as_numpy()
    return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def same_request(left: InferenceRequest, right: InferenceRequest) -> bool:
    return (
        (left.id, left.parameters, left.outputs) == (right.id, right.parameters, right.outputs)
        and len(left.inputs) == len(right.inputs)
        and all(map(same_tensor, left.inputs, right.inputs))
    )


def same_response(left: InferenceResponse, right: InferenceResponse) -> bool:
    return (
        (left.id, left.parameters, left.model_name, left.model_version)
        == (right.id, right.parameters, right.model_name, right.model_version)
        and len(left.outputs) == len(right.outputs)
        and all(map(same_tensor, left.outputs, right.outputs))
    )
