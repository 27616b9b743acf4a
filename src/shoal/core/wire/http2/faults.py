"""What a peer can do wrong: a fault of the whole connection (GOAWAY) or of one stream (RST_STREAM).

They never leave this package: `Connection` turns them into frames and into `on_reset` of the streams concerned.
"""

from __future__ import annotations

from shoal.core.wire.http2.codes import ErrorCode


class ConnectionFault(Exception):
    """The peer broke a rule after which nothing on this connection can be trusted."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class StreamFault(Exception):
    """The peer broke a rule that concerns one stream only."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def protocol_error(reason: str) -> ConnectionFault:
    """The commonest fault of a connection."""
    return ConnectionFault(ErrorCode.PROTOCOL_ERROR, reason)
