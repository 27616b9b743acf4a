"""What one client may cost the node: every limit has a name, a default and a setting; none is unlimited."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WireLimits:
    """What a client may cost before its request is complete; all are settings of the node.

    Attributes:
        body_bytes: body after decompression, and a gRPC message.
        header_bytes: all headers of a request, request line included; also HPACK-decoded size.
        header_count: number of headers.
        target_bytes: the request line's target (414 above).
        chunk_count: chunks of a chunked body.
        header_seconds: time to receive all headers, absolute.
        body_seconds: time without any progress of a body.
        idle_seconds: keep-alive without a request.
        write_seconds: time without any progress while the client does not read.
        connections: open at once; above it new ones are refused with 503 / GOAWAY.
        connections_per_address: of these, of one IPv4 address or IPv6 /64; by default as many as there are.
        streams: concurrent HTTP/2 streams of a connection.
        pipeline: HTTP/1.1 requests of a connection that may wait for their answers.
        write_buffer_bytes: bytes waiting for a slow reader, above which no further request of it is read.
    """

    body_bytes: int = 64 * 1024 * 1024
    header_bytes: int = 64 * 1024
    header_count: int = 256
    target_bytes: int = 8 * 1024
    chunk_count: int = 65_536
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = 120.0
    write_seconds: float = 30.0
    connections: int = 10_000
    connections_per_address: int = 1_000_000
    streams: int = 256
    pipeline: int = 32
    write_buffer_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantLimits:
    """What one tenant may ask for, and its part where there is not enough for all.

    Attributes:
        rate: requests a second in the long run, or None: as many as it likes.
        burst: requests at once after a pause, or None: those of a second.
        rows_per_second: rows in the long run, or None.
        rows_burst: rows at once, or None: those of a second.
        concurrency: requests without an outcome, or None.
        weight: its share of a model's workers, against those of others that wait for the same model.
    """

    rate: float | None = None
    burst: float | None = None
    rows_per_second: float | None = None
    rows_burst: float | None = None
    concurrency: int | None = None
    weight: float = 1.0
