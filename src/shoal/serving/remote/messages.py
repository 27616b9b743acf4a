"""The messages between proxies and hosts of workers: few, frozen, typed, each with an explicit tag.

From a proxy: `Hello` (first), `Open`, `Close`, `Scale`, `Run` with bodies, `Ping`. From a host: `Welcome` (first),
`Opened`, `Refused`, `Slots`, `Ran` with answers, `Lost`, `Died`, `State`.

Clocks are not shared: a deadline travels as the seconds that are left. A model has a number of the proxy's, for one
connection. `Hello` and `Welcome` stay as they are in every version of the protocol.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from shoal.core.errors import ErrorRecord
from shoal.core.ipc.messages import Done, Loaded

PROTOCOL = 1
"""Both ends must have the same."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Seconds = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
"""NaN is none."""


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """A proxy is there."""

    protocol: int
    name: str = ""


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """A model version that a proxy wants to be run.

    Attributes:
        name, version: as the proxy serves it.
        mark: what it is made of, see `marks`: a host that has something else of this name must not run it.
    """

    name: str
    version: str
    mark: str


class Open(msgspec.Struct, frozen=True, array_like=True, tag="open"):
    """Have workers for this model from now on, and call it by this number."""

    model: Count
    wanted: Wanted


class Close(msgspec.Struct, frozen=True, array_like=True, tag="close"):
    """Nothing more will come for the model of this number."""

    model: Count


class Scale(msgspec.Struct, frozen=True, array_like=True, tag="scale"):
    """Have so many workers for this model; the host goes by the proxy that asks for most."""

    model: Count
    workers: Annotated[int, msgspec.Meta(ge=1, le=4096)]


class Run(msgspec.Struct, frozen=True, array_like=True, tag="run"):
    """Run a batch; the bodies follow in the payload. For the columns see `core.ipc.messages.Batch`.

    Attributes:
        id: comes back with the answer; never used twice on a connection.
        model: the number of an opened one.
        rows: their weight together.
        aside: it goes to the quarantine worker.
        seconds: left until each item's deadline.
    """

    id: Count
    model: Count
    rows: Count
    max_size: Count
    aside: bool
    formats: bytes
    lengths: list[Count]
    json_lengths: list[int]
    seconds: list[Seconds]


class Ping(msgspec.Struct, frozen=True, array_like=True, tag="ping"):
    """The proxy is still there."""


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag="welcome"):
    """A host is there."""

    protocol: int
    name: str = ""


class Opened(msgspec.Struct, frozen=True, array_like=True, tag="opened"):
    """The model is loaded, and batches of it may come as `Slots` says."""

    model: Count
    loaded: Loaded


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """The model cannot be run here; the proxy may ask again."""

    model: Count
    error: ErrorRecord


class Slots(msgspec.Struct, frozen=True, array_like=True, tag="slots"):
    """What this proxy may send of a model.

    Attributes:
        slots: batches that may be under way.
        workers: that are ready.
        failure: why no worker can be kept up, or "".
    """

    model: Count
    slots: Count
    workers: Count
    failure: str = ""


class Ran(msgspec.Struct, frozen=True, array_like=True, tag="ran"):
    """The outcome of a batch, as the worker has told it; the items' payloads follow."""

    id: Count
    done: Done


class Lost(msgspec.Struct, frozen=True, array_like=True, tag="lost"):
    """The worker has died, or was killed, before it answered; see `pool.jobs.Loss`."""

    id: Count
    reason: str
    suspect: bool
    outside: bool


class Died(msgspec.Struct, frozen=True, array_like=True, tag="died"):
    """A worker of the model has died unasked."""

    model: Count
    reason: str


class State(msgspec.Struct, frozen=True, array_like=True, tag="state"):
    """The host is there; sent when it changes, and as a heartbeat.

    Attributes:
        draining: it takes nothing new: who has nothing under way leaves.
    """

    draining: bool = False


ToHost = Hello | Open | Close | Scale | Run | Ping
FromHost = Welcome | Opened | Refused | Slots | Ran | Lost | Died | State

encode = msgspec.msgpack.Encoder().encode
decode_to_host = msgspec.msgpack.Decoder(ToHost).decode
decode_from_host = msgspec.msgpack.Decoder(FromHost).decode


def version_error(theirs: int, peer: str) -> str:
    """What to say to two ends of different versions."""
    return (
        f"{peer} speaks version {theirs} of the protocol between proxies and hosts of workers, and this process "
        f"version {PROTOCOL}: run the same release on both"
    )
