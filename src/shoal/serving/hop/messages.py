"""The messages between gateways and proxies: few, frozen, typed, each with an explicit tag.

From a gateway: `Hello` (first), `Submit` with a body, `Cancel`, `Ask` with a payload, `Ping`. From a proxy: `Welcome`
(first), `Answer` with a body, `Fail`, `Told` with a payload, `State`, `Pong`.

Clocks are not shared: a deadline travels as the seconds that are left. `Hello` and `Welcome` stay as they are in every
version of the protocol, so that two ends of different versions can say so.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from shoal.core.call import Format
from shoal.core.errors import ErrorRecord, ShoalError
from shoal.core.model import ModelSpec, ModelState
from shoal.core.types import Signature

PROTOCOL = 1
"""Both ends must have the same."""
HEDGE = 2
"""The `attempt` of a request that another proxy has at the same time: it is run only if the model is in memory."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Seconds = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]
"""NaN is none."""


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """A gateway is there."""

    protocol: int
    name: str = ""


class Submit(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """Answer this request; its body is the payload. For the fields see `core.call.Call`.

    Attributes:
        id: comes back with the answer; the gateway never uses it twice on a connection.
        name, version: of the model, as the caller gave them.
        seconds: left until its deadline.
        attempt: 0; 1 when it was sent to another proxy before; `HEDGE` when another one still has it.
    """

    id: Count
    name: str
    version: str
    format: Format
    json_length: int
    rows: Count
    level: Annotated[int, msgspec.Meta(ge=0, le=255)]
    tenant: str
    seconds: Seconds
    attempt: int = 0


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """The caller has gone: no answer is wanted any more."""

    id: Count


What = Literal["describe", "refresh", "list", "statistics", "why", "load", "unload"]


class Ask(msgspec.Struct, frozen=True, array_like=True, tag="ask"):
    """A question about models, or an order; `proxy.telling` says what each one is answered with.

    Attributes:
        id: comes back with the answer; of the same numbers as those of `Submit`.
        what: is asked.
        name, version: of the model; "" for all of them.
        limit: models that are told of at most.
    """

    id: Count
    what: What
    name: str = ""
    version: str = ""
    limit: Count = 100_000


class Ping(msgspec.Struct, frozen=True, array_like=True, tag="ping"):
    """The gateway is still there."""


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag="welcome"):
    """A proxy is there.

    Attributes:
        protocol: see `PROTOCOL`.
        name: the same after a restart: models are shared out by it.
        boot: another one after each restart.
    """

    protocol: int
    name: str = ""
    boot: str = ""


class Answer(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """The answer to a `Submit`; its body is the payload."""

    id: Count
    json_length: int


class Fail(msgspec.Struct, frozen=True, array_like=True, tag="f"):
    """The error that a `Submit` ended with.

    Attributes:
        executed: whether the model may have run; False: it certainly has not.
    """

    id: Count
    error: ErrorRecord
    executed: bool = True


class Told(msgspec.Struct, frozen=True, array_like=True, tag="told"):
    """The answer to an `Ask`: an error, or the payload."""

    id: Count
    error: ErrorRecord | None = None


class State(msgspec.Struct, frozen=True, array_like=True, tag="state"):
    """How the proxy stands; sent when it changes, and as a heartbeat.

    Attributes:
        ready: its models can answer.
        draining: it takes no new requests.
        in_flight: requests of all gateways that have no answer yet.
        rows: their rows.
    """

    ready: bool = False
    draining: bool = False
    in_flight: int = 0
    rows: int = 0


class Pong(msgspec.Struct, frozen=True, array_like=True, tag="pong"):
    """The proxy has read the `Ping`."""


class Facts(msgspec.Struct, frozen=True, array_like=True):
    """What a gateway must know of a model version; see `core.ports.ModelHandle`.

    The spec comes without what only workers need: paths, environment, parameters.
    """

    spec: ModelSpec
    state: ModelState
    reason: str
    signature: Signature
    batchable: bool
    batch_reason: str
    platform: str
    example: str


class Description(msgspec.Struct, frozen=True, array_like=True):
    """The answer to ``describe``.

    Attributes:
        wanted: the version that was asked for.
        versions: all versions of the model, oldest first.
        statistics: of each of them, at this proxy.
        explained: see `core.ports.Models.explain`.
    """

    wanted: Facts
    versions: list[Facts]
    statistics: list[dict[str, Any]]
    explained: dict[str, Any]


class Known(msgspec.Struct, frozen=True, array_like=True):
    """An item of ``refresh``: a model as it was asked for, and the mark of what was told of it last."""

    name: str
    version: str
    mark: int


ToProxy = Hello | Submit | Cancel | Ask | Ping
FromProxy = Welcome | Answer | Fail | Told | State | Pong

encode = msgspec.msgpack.Encoder().encode
decode_to_proxy = msgspec.msgpack.Decoder(ToProxy).decode
decode_from_proxy = msgspec.msgpack.Decoder(FromProxy).decode
decode_facts = msgspec.msgpack.Decoder(Facts).decode
decode_fact_list = msgspec.msgpack.Decoder(list[Facts]).decode
decode_description = msgspec.msgpack.Decoder(Description).decode
decode_known = msgspec.msgpack.Decoder(list[Known]).decode
decode_refreshed = msgspec.msgpack.Decoder(list[bytes | None]).decode
decode_object = msgspec.msgpack.Decoder(dict[str, Any]).decode
decode_objects = msgspec.msgpack.Decoder(list[dict[str, Any]]).decode


def version_error(theirs: int, peer: str) -> str:
    """What to say to two ends of different versions."""
    return (
        f"{peer} speaks version {theirs} of the protocol between gateways and proxies, and this process version "
        f"{PROTOCOL}: run the same release on both"
    )


def record_of(error: BaseException) -> ErrorRecord:
    """An error as a message; what is no `ShoalError` tells nothing of itself."""
    if isinstance(error, ShoalError):
        return error.to_record()
    return ErrorRecord("internal", "the proxy failed; its log says why")
