"""The fields of `model.yaml`.

Each field has its description, its bounds and its default; the reference page and the JSON Schema for editors are made
from them. Nothing is coerced: text is not a number, and a field that is not known is refused.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from shoal.core.settings import quantities

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
MAX_ROWS = 1_000_000
DAY = 86_400.0
MAX_NUMBER = 2**63
Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]  # fmt: skip
Preset = Literal["auto", "near-real-time", "latency", "throughput"]


def check_name(name: str) -> str:
    """A model's name, as it may stand in a path.

    Raises:
        ValueError: it may not.
    """
    if not NAME.match(name):
        raise ValueError("must be 1 to 128 letters, digits, '.', '_' or '-', and begin with a letter or digit")
    return name


def _rows(value: object) -> int | None:
    if value == "auto":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_ROWS:
        raise ValueError(f"must be auto or a number of rows from 1 to {MAX_ROWS}")
    return value


def _version(value: object) -> object:
    if isinstance(value, float):
        raise ValueError("must be text: write it in quotes, or a whole number")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _variables(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {key: str(each) if type(each) in (int, float) else each for key, each in value.items()}


def _parameter(value: object) -> object:
    parts = value if isinstance(value, list) else [value]
    if any(isinstance(each, (list, dict)) or (each is None and value is not None) for each in parts):
        raise ValueError("must be text, a number, true, false, null, or a list of those")
    if any(isinstance(each, int) and abs(each) >= MAX_NUMBER for each in parts):
        raise ValueError("must be less than 2^63")
    return value


def _warmup(value: object) -> object:
    if not isinstance(value, (str, dict)):
        raise ValueError("must be the name of a JSON file, or a V2 request")
    return value


def _dimension(value: int) -> int:
    if not -1 <= value < MAX_NUMBER:
        raise ValueError("must be a number of elements, or -1 where it varies")
    return value


def _quantity(kind: Any, what: str) -> tuple[Any, Any]:
    return BeforeValidator(kind), WithJsonSchema({"type": ["number", "string"], "description": what})


_SIZE = _quantity(quantities.size, "bytes, or a size such as 512Mi")
_SECONDS = _quantity(quantities.seconds, "seconds, or a duration such as 30s")
_MILLISECONDS = _quantity(quantities.milliseconds, "milliseconds, or a duration such as 20ms")
Parameters = dict[str, Annotated[Any, BeforeValidator(_parameter)]]
Variables = Annotated[dict[str, str], BeforeValidator(_variables)]
Warmup = Annotated[Any, BeforeValidator(_warmup), WithJsonSchema({"type": ["string", "object"]})]
Size = Annotated[int, *_SIZE]
Processors = Annotated[float, *_quantity(quantities.processors, "processors, or thousandths such as 500m")]
Seconds = Annotated[float, *_SECONDS]
Milliseconds = Annotated[float, *_MILLISECONDS]
Rows = Annotated[
    int | None,
    BeforeValidator(_rows),
    WithJsonSchema({"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1}]}),
]
Version = Annotated[
    str,
    BeforeValidator(_version),
    Field(pattern=r"^[A-Za-z0-9._-]{0,64}$"),
    WithJsonSchema({"type": ["string", "integer"]}),
]


class Fields(BaseModel):
    """What all fields have in common: strict, frozen, and described by the text below each."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class TensorFields(Fields):
    """One input or output."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    """Its name in requests and responses."""
    datatype: Datatype
    """Its V2 datatype; text is BYTES."""
    shape: Annotated[list[Annotated[int, AfterValidator(_dimension)]], Field(min_length=1, max_length=16)]
    """Its dimensions; -1 where one varies, as the first (the batch) does."""


class BatchingFields(Fields):
    """How requests are put together. What is not said comes from the preset."""

    preset: Preset = "auto"
    """`auto`: adaptive, the size found by measuring; `near-real-time`: fixed, 4 rows, 20 ms; `latency`: no batches;
    `throughput`: adaptive, 64 rows, 50 ms."""
    policy: Literal["adaptive", "fixed"] | None = None
    """`adaptive` never waits while a worker is idle; `fixed` waits up to `max_wait_ms` for a full batch."""
    max_size: Rows = None
    """Rows in a batch, or `auto`."""
    max_wait_ms: Annotated[Milliseconds, Field(ge=0, le=60_000)] | None = None
    """How long the first request of a batch may wait for company; milliseconds, or a duration such as `20ms`."""
    queue_rows: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    """Rows that may wait; above it, requests are shed."""
    queue_bytes: Annotated[Size, Field(ge=1024, lt=MAX_NUMBER)] | None = None
    """Bytes of requests that may wait, such as `256Mi`."""
    queue_seconds: Annotated[Seconds, Field(gt=0, le=DAY)] | None = None
    """How long a request may wait before it is shed; by default until its own deadline."""
    latency_target_ms: Annotated[Milliseconds, Field(gt=0, le=DAY * 1000)] | None = None
    """What an automatic size keeps a batch's time under."""


class LimitsFields(Fields):
    """What the model's workers may use."""

    workers: Annotated[int, Field(ge=1, le=1024)] = 1
    """Worker processes."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """Threads of BLAS, OpenMP and the frameworks in each worker."""
    memory_bytes: Annotated[Size, Field(ge=16 * 1024 * 1024, lt=MAX_NUMBER)] | None = None
    """Memory of one worker, such as `512Mi`; by default no limit of its own."""
    cpu: Annotated[Processors, Field(gt=0, le=1024)] | None = None
    """Processors of one worker, such as `1.5` or `500m`; by default no limit of its own."""
    timeout_seconds: Annotated[Seconds, Field(gt=0, le=DAY)] = 60.0
    """How long a request may take, end to end, unless the caller asks for less; such as `30s`."""
    execution_seconds: Annotated[Seconds, Field(gt=0, le=DAY)] | None = None
    """How long one batch may run before its worker counts as hung; by default `timeout_seconds`."""
    load_seconds: Annotated[Seconds, Field(gt=0, le=DAY)] = 300.0
    """How long loading may take."""
    max_requests: Annotated[int, Field(ge=1, lt=MAX_NUMBER)] | None = None
    """Requests after which a worker is replaced; by default never."""


class ModelFile(Fields):
    """A `model.yaml`: everything has a default, as far as the files beside it tell what they are."""

    name: Annotated[str, AfterValidator(check_name)] | None = None
    """What callers use in the path; by default the folder's name."""
    version: Version = ""
    """A number, or text in quotes; by default the version folder's name, or none."""
    description: Annotated[str, Field(max_length=10_000)] = ""
    """For people: shown on the model's page."""
    runtime: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """`sklearn`, `xgboost`, `lightgbm`, `onnx`, `torch`, `tensorflow`, `transformers`, `mlflow`, `python`, or one of an
    installed package; by default told from the files."""
    path: str = "."
    """The artifact, a file or folder beside this file."""
    implementation: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*(:[A-Za-z_]\w*)?$")] | None = None
    """`module:Class` of your own class, for the runtime `python`."""
    trust: Literal["code"] | None = None
    """`code` says that the artifact may run code when it is loaded: pickles and Python need it."""
    inputs: Annotated[list[TensorFields], Field(max_length=1024)] = []
    """The inputs, where the format does not tell them."""
    outputs: Annotated[list[TensorFields], Field(max_length=1024)] = []
    """The outputs, where the format does not tell them."""
    parameters: Parameters = {}
    """Options of the runtime, or whatever your own class reads from `self.parameters`."""
    warmup: Annotated[list[Warmup], Field(max_length=100)] = []
    """V2 requests that are run when the model is loaded: written here, or files of JSON beside this file."""
    batchable: bool | None = None
    """`false` keeps requests apart; by default this is found out when the model is loaded."""
    pure: bool = True
    """Whether a request may run again when the worker that had it died."""
    hedge_after_ms: Annotated[Milliseconds, Field(gt=0, le=DAY * 1000)] | None = None
    """After how long without an answer a request is sent to a second proxy as well, and the first answer taken;
    milliseconds, or a duration such as `200ms`. By default never. For `pure` models of a node with several proxies."""
    deterministic: bool = True
    """Whether the same request always has the same answer; `false` keeps its answers out of the prediction cache."""
    allow_nonfinite: bool = False
    """Whether NaN and infinities may come in and go out."""
    network: bool | None = None
    """Whether the model needs the network; the node's settings say whether it gets it. `false` takes none, even where
    they give it to all."""
    environment: Variables = {}
    """Environment variables of the workers."""
    app: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    """`module:app` of an ASGI app that is served beside the model."""
    batching: BatchingFields = BatchingFields()
    """How requests are put together."""
    limits: LimitsFields = LimitsFields()
    """What the workers may use."""
