"""Settings of both ends of the hop."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HopSettings:
    """What a gateway does with its proxies.

    Attributes:
        everywhere: whether each proxy has all models (those of files), so that a load concerns all of them; otherwise
            only a model's owners are asked to load it.
        hot_rows: rows of one model in flight to one proxy before a second one may own it: below that its batches are
            worth more whole than its load is worth sharing.
        factor: how much more than the mean a proxy must have to do before a model of it gets another owner.
        patience_seconds: how long a request waits for a proxy when there is none; counted from when there was one.
        held_bytes: bodies of requests that wait for a proxy, or for the retry budget.
        buffer_bytes: bytes that wait to be written to one proxy; above it requests for it are shed.
        frame_bytes: of a request's body, and of an answer's.
        connect_seconds: for a connection, TLS and greeting together.
        ask_seconds: how long a question about models may take; loads have no limit of their own here.
        refresh_seconds: how often what proxies have told of models that are used is asked for again.
    """

    everywhere: bool = True
    hot_rows: int = 256
    factor: float = 1.25
    patience_seconds: float = 5.0
    held_bytes: int = 256 * MIB
    buffer_bytes: int = 64 * MIB
    frame_bytes: int = 1024 * MIB
    connect_seconds: float = 5.0
    ask_seconds: float = 30.0
    refresh_seconds: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """What a proxy lets its gateways do.

    Attributes:
        gateways: connections at once.
        frame_bytes: of a request.
        pending_bytes: bodies of one gateway's requests that have no answer yet; above it no more is read from it.
        buffer_bytes: answers that wait to be written to one gateway; above it no more is read from it.
        asks: questions about models that one gateway may have open.
        quiet_seconds: a gateway that says nothing for so long has gone.
    """

    gateways: int = 256
    frame_bytes: int = 1024 * MIB
    pending_bytes: int = 512 * MIB
    buffer_bytes: int = 64 * MIB
    asks: int = 256
    quiet_seconds: float = 15.0
