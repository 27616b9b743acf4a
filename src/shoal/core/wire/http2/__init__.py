"""HTTP/2 (RFC 9113) without sockets, for both ends of a connection.

Read `codes`, `frames`, `blocks` and `fields` (HPACK and its memo), `heads` (what fields mean), then `stream`,
`sender`, `receiver` (flow control both ways), `guards` (floods), and `loop`, `multiplex`, `connection`, which put them
together.
"""

from shoal.core.wire.http2.codes import PREFACE, ErrorCode
from shoal.core.wire.http2.connection import Connection
from shoal.core.wire.http2.fields import encode_block, encode_field
from shoal.core.wire.http2.heads import RequestHead, ResponseHead
from shoal.core.wire.http2.receiver import Limits
from shoal.core.wire.http2.stream import STREAM_SLOTS, Payload, Stream

__all__ = [
    "PREFACE",
    "STREAM_SLOTS",
    "Connection",
    "ErrorCode",
    "Limits",
    "Payload",
    "RequestHead",
    "ResponseHead",
    "Stream",
    "encode_block",
    "encode_field",
]
