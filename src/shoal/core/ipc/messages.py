"""The messages between a node and its workers: few, frozen, typed, each with an explicit tag.

To a worker: `Load`, `Batch`, `Unload`, `Stop`. From a worker: `Hello`, `Loaded`, `LoadFailed`, `Done`, `Unloaded`.
A worker runs one batch at a time and answers batches in the order in which they came. A shared one may be asked to load
a model meanwhile: `Loaded` then comes when it comes.

Batches are told column by column, not item by item: that is what makes their headers cheap.
"""

from __future__ import annotations

import msgspec

from shoal.core.errors import ErrorRecord
from shoal.core.model import ModelSpec
from shoal.core.types import Signature

OK = 0
"""Status of an item that has an answer."""
FAILED = 1
"""Status of an item whose payload is an `ErrorRecord` in MessagePack."""


class Load(msgspec.Struct, frozen=True, array_like=True, tag="load"):
    """Load a model version.

    Attributes:
        model: the number by which batches name it.
        spec: what to load.
        known: what a worker has said of the very same files before; the model is not examined again, only tried.
    """

    model: int
    spec: ModelSpec
    known: Loaded | None = None


class Batch(msgspec.Struct, frozen=True, array_like=True, tag="batch"):
    """Predict for these items; their bodies follow in the payload, one after the other.

    Attributes:
        id: comes back in `Done`.
        model: the number of a loaded model.
        max_size: rows that the adapter may be given in one call; a larger item is run in parts.
        formats: a `core.call.Format` per item, as bytes.
        lengths: bytes of each body in the payload.
        json_lengths: see `core.call.Call.json_length`.
        deadlines: monotonic seconds; an item whose time is over is not started.
    """

    id: int
    model: int
    max_size: int
    formats: bytes
    lengths: list[int]
    json_lengths: list[int]
    deadlines: list[float]


class Unload(msgspec.Struct, frozen=True, array_like=True, tag="unload"):
    model: int


class Stop(msgspec.Struct, frozen=True, array_like=True, tag="stop"):
    """Finish what was sent before and exit with 0."""


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """The worker has started and can be given models.

    Attributes:
        pid: its process id, as it sees it.
        memory_bytes: its resident memory without any model.
        missing: means of confinement that it was told to apply and could not, and why.
    """

    pid: int
    memory_bytes: int = 0
    missing: dict[str, str] = {}


class Loaded(msgspec.Struct, frozen=True, array_like=True, tag="loaded"):
    """The model is loaded and a probe inference through the worker's whole path has worked.

    Attributes:
        model: its number.
        signature: what the adapter, or the author, says of inputs and outputs.
        platform: V2 platform text, such as ``onnx_onnxruntime``.
        batchable: whether n rows at once gave the answers of one by one.
        batch_reason: why it is not batchable, or "".
        seconds: time to load.
        memory_bytes: its footprint: growth of the worker's resident memory, but no less than the size of its files.
        example: a V2 JSON request that works, for the docs page; "" if none could be made up.
    """

    model: int
    signature: Signature
    platform: str
    batchable: bool
    batch_reason: str
    seconds: float
    memory_bytes: int
    example: str


class LoadFailed(msgspec.Struct, frozen=True, array_like=True, tag="load_failed"):
    model: int
    error: ErrorRecord


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """The outcome of a batch; the items' payloads follow one after the other.

    Attributes:
        id: of the `Batch`.
        statuses: `OK` or `FAILED` per item, as bytes.
        lengths: bytes of each item's payload.
        json_lengths: bytes of JSON at the start of a binary V2 response; -1 for all others.
        rows: rows that were predicted, as counted by the decoder.
        executions: calls of the adapter.
        decode, compute, encode: seconds of each part.
        memory_bytes: the worker's resident memory.
    """

    id: int
    statuses: bytes
    lengths: list[int]
    json_lengths: list[int]
    rows: int
    executions: int
    decode: float
    compute: float
    encode: float
    memory_bytes: int = 0


class Unloaded(msgspec.Struct, frozen=True, array_like=True, tag="unloaded"):
    """The model is let go of: the worker's resident memory now, and what it was before."""

    model: int
    memory_bytes: int
    before_bytes: int = 0

    @property
    def reclaimed_bytes(self) -> int:
        """What the system has got back."""
        return max(self.before_bytes - self.memory_bytes, 0)


ToWorker = Load | Batch | Unload | Stop
FromWorker = Hello | Loaded | LoadFailed | Done | Unloaded

encode = msgspec.msgpack.Encoder().encode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode
decode_error = msgspec.msgpack.Decoder(ErrorRecord).decode
