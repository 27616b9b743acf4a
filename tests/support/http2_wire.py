"""Raw HTTP/2 for tests: streams that remember, a client that speaks frames, and a look at what a server sent."""

from __future__ import annotations

from collections.abc import Iterable

from hpack import Decoder, Encoder

from shoal.core.wire.http2 import STREAM_SLOTS, Connection, Limits, RequestHead, ResponseHead, Stream, codes, frames

Frame = tuple[int, int, int, bytes]

GET = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/v2"), (b":authority", b"shoal")]
POST = [(b":method", b"POST"), *GET[1:]]


def grpc_head(path: bytes, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """The head of a gRPC call."""
    return [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"shoal"),
        (b"content-type", b"application/grpc"), (b"te", b"trailers"), *more,
    ]  # fmt: skip


class Recorder(Stream):
    """A stream that remembers what happened to it."""

    __slots__ = (*STREAM_SLOTS, "body", "chunks", "drained", "ended", "head", "overflowed", "reset_code", "trailers")

    def __init__(self, head: RequestHead | ResponseHead | None = None) -> None:
        self.head = head
        self.body = b""
        self.chunks: list[bytes] = []
        self.ended = 0
        self.drained = 0
        self.overflowed = False
        self.trailers: dict[bytes, bytes] | None = None
        self.reset_code: int | None = None

    def on_headers(self, head: ResponseHead) -> None:
        self.head = head

    def on_data(self, data: bytes, end: bool) -> None:
        assert not self.ended
        assert self.reset_code is None
        self.chunks.append(data)
        self.body += data
        self.ended += end

    def on_trailers(self, trailers: dict[bytes, bytes]) -> None:
        self.trailers = trailers
        self.ended += 1

    def on_reset(self, code: int) -> None:
        assert self.reset_code is None
        self.reset_code = code

    def on_overflow(self) -> None:
        self.overflowed = True
        super().on_overflow()

    def on_drained(self) -> None:
        self.drained += 1


class Server:
    """Our server end; `seen` are its streams in the order of their opening."""

    def __init__(self, limits: Limits | None = None, now: float = 100.0) -> None:
        self.seen: list[Recorder] = []
        self.now = now
        self.connection = Connection(limits or Limits(), lambda: None, accept=self._accept, now=now)

    def _accept(self, connection: Connection, stream_id: int, head: RequestHead) -> Recorder:
        stream = Recorder(head)
        stream._begin(connection, stream_id, head.content_length)
        self.seen.append(stream)
        return stream

    def receive(self, *data: bytes) -> list[Frame]:
        """Feed bytes; the frames that come back."""
        self.connection.receive(b"".join(data), self.now)
        return split(self.connection.sender.take())


class RawClient:
    """Writes what a client would send, with a real HPACK encoder."""

    def __init__(self) -> None:
        self._encoder = Encoder()

    def hello(self, settings: dict[int, int] | None = None) -> bytes:
        return codes.PREFACE + frames.settings(settings or {})

    def block(self, fields: Iterable[tuple[bytes, bytes]], huffman: bool = True) -> bytes:
        return bytes(self._encoder.encode(list(fields), huffman=huffman))

    def head(self, stream_id: int, fields: Iterable[tuple[bytes, bytes]], end: bool = True) -> bytes:
        return frames.headers(stream_id, self.block(fields), end, codes.DEFAULT_FRAME_SIZE)

    def data(self, stream_id: int, data: bytes, end: bool = True) -> bytes:
        return frames.frame(codes.DATA, codes.END_STREAM if end else 0, stream_id, data)


def split(data: bytes) -> list[Frame]:
    """(type, flags, stream, payload) of each frame, written independently of the code under test."""
    out: list[Frame] = []
    if data.startswith(codes.PREFACE):
        data = data[len(codes.PREFACE) :]
    while data:
        length = int.from_bytes(data[:3], "big")
        out.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + length]))
        assert len(data) >= 9 + length, "a frame is cut off"
        data = data[9 + length :]
    return out


def kinds(sent: list[Frame]) -> list[int]:
    """The types of the frames."""
    return [kind for kind, _, _, _ in sent]


def goaway_code(sent: list[Frame]) -> int | None:
    """The error code of the last GOAWAY, if there is one."""
    found = [payload for kind, _, _, payload in sent if kind == codes.GOAWAY]
    return int.from_bytes(found[-1][4:8], "big") if found else None


def resets(sent: list[Frame]) -> dict[int, int]:
    """Error codes by stream."""
    return {sid: int.from_bytes(payload, "big") for kind, _, sid, payload in sent if kind == codes.RST_STREAM}


class Answers:
    """Collects what a server sent, by stream."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self.headers: dict[int, list[dict[bytes, bytes]]] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.frames: list[Frame] = []

    def feed(self, data: bytes) -> Answers:
        for kind, flags, sid, payload in split(data):
            self.frames.append((kind, flags, sid, payload))
            if kind == codes.HEADERS:
                assert flags & codes.END_HEADERS
                self.headers.setdefault(sid, []).append(dict(self._decoder.decode(payload, raw=True)))
            elif kind == codes.DATA:
                self.bodies[sid] = self.bodies.get(sid, b"") + payload
            if kind in (codes.HEADERS, codes.DATA) and flags & codes.END_STREAM:
                assert sid not in self.ended
                self.ended.add(sid)
        return self

    def status(self, sid: int) -> int:
        """The HTTP status of a stream's last head."""
        return int(self.headers[sid][0][b":status"])

    def grpc_status(self, sid: int) -> int:
        """The gRPC status of a stream."""
        return int(self.headers[sid][-1][b"grpc-status"])


class FakeTransport:
    """A transport that keeps what is written; `taken` bytes of it have gone to the client."""

    def __init__(self, half_close: bool = True) -> None:
        self.written = b""
        self.taken: int | None = None
        self.eof = self.closed = self.aborted = self.reading_paused = False
        self._half_close = half_close

    def write(self, data: bytes) -> None:
        assert data
        assert not self.eof
        assert not self.closed
        self.written += data

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def take(self) -> bytes:
        data, self.written = self.written, b""
        return data

    def get_write_buffer_size(self) -> int:
        return 0 if self.taken is None else len(self.written) - self.taken

    def set_write_buffer_limits(self, high: int) -> None:
        assert high > 0

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def can_write_eof(self) -> bool:
        return self._half_close

    def write_eof(self) -> None:
        self.eof = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        assert not self.reading_paused
        self.reading_paused = True

    def resume_reading(self) -> None:
        assert self.reading_paused
        self.reading_paused = False
