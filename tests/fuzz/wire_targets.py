"""Targets of the transports: HTTP/1.1, HTTP/2, gRPC's messages, content codings, targets of requests, our own frames.

However a stream of bytes is cut into reads, the same must come out of it; and nothing but what a module documents.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from itertools import pairwise
from random import Random
from typing import Any

import msgspec

from fuzz import mutate
from fuzz.target import Target, refused
from shoal.core.errors import ErrorRecord, InvalidInput, NotFound, TooLarge, Unsupported
from shoal.core.ipc import frames, messages
from shoal.core.limits import WireLimits
from shoal.core.model import ModelSpec
from shoal.core.wire import grpc
from shoal.core.wire.http1.head import Refusal
from shoal.core.wire.http1.parser import RequestParser
from shoal.core.wire.http2 import PREFACE, Connection, Limits, RequestHead, encode_block
from shoal.core.wire.http2 import frames as h2
from shoal.serving.gateway import paths
from shoal.serving.gateway.guard.needs import About, Need
from shoal.serving.gateway.problems import MethodNotAllowed
from shoal.serving.gateway.sockets import compression
from support.http2_wire import POST, RawClient, Recorder, grpc_head, split

REFUSALS = frozenset((400, 413, 414, 417, 431, 501, 505))
LIMITS = WireLimits(body_bytes=2048, header_bytes=1024, header_count=16, target_bytes=256, chunk_count=32)
H2_LIMITS = Limits(
    header_bytes=2048, header_count=32, streams=8, stream_window=4096, connection_window=65_536, held_bytes=8192
)


def pieces(data: bytes, seed: int) -> list[bytes]:
    """The same bytes cut into a few reads; seed 0 cuts at every byte."""
    if seed == 0:
        return [data[at : at + 1] for at in range(len(data))]
    random = Random(seed)
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(3))
    return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]


# HTTP/1.1


def _http1(reads: list[bytes]) -> tuple[list[Any], bool | str, bool]:
    """The requests in these reads, whether the connection was refused, and whether a request is unfinished."""
    parser, found = RequestParser(LIMITS), []
    try:
        for read in reads:
            parser.receive(read)
            while (request := parser.next_request()) is not None:
                head, body = request
                assert len(body) <= LIMITS.body_bytes
                assert head.count <= LIMITS.header_count
                found.append((head.method, head.target, dict(head.headers), head.keep_alive, bytes(body)))
    except Refusal as refusal:
        return found, refusal.status in REFUSALS or f"unexpected status {refusal.status}", False
    return found, False, parser.partial


def check_http1(data: bytes) -> None:
    """Requests and refusals do not depend on how the bytes arrive. The first byte says how they are cut."""
    stream = data[1:]
    whole, in_pieces = _http1([stream]), _http1(pieces(stream, data[0] if data else 0))
    assert isinstance(whole[1], bool), whole[1]
    assert whole == in_pieces, (whole, in_pieces)


def http1_seeds() -> list[bytes]:
    host = b"Host: shoal\r\n"
    return [
        b"\x01GET /v2 HTTP/1.1\r\n" + host + b"\r\n",
        b"\x02POST /v2/models/x/infer HTTP/1.1\r\n" + host + b"Content-Length: 4\r\n\r\n{}{}GET / HTTP/1.1\r\n" + host + b"\r\n",
        b"\x00POST /a?b=c HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n",
        b"\x03POST /a HTTP/1.1\r\n" + host + b"Expect: 100-continue\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
        b"\x04GET http://shoal:80/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\nOPTIONS * HTTP/1.1\r\n" + host + b"\r\n",
    ]  # fmt: skip


HTTP1_WORDS = (
    b"\r\n\r\n", b"\r\n", b"\n", b"\r", b"GET ", b"POST ", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"Host: a\r\n", b"chunked",
    b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"3\r\nabc\r\n", b"Upgrade: h2c\r\n",
    b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"\xff", b": ", b";", b"ffffffffffffffff\r\n", b"PRI * HTTP/2.0\r\n",
)  # fmt: skip


# HTTP/2


class Answering(Recorder):
    """A stream that answers when its request has ended, so that the sending side is used too."""

    __slots__ = ()

    def on_data(self, data: bytes, end: bool) -> None:
        super().on_data(data, end)
        if end:
            self.send_headers(encode_block([(b":status", b"200")]))
            self.send_data(b"x" * 20_000, True)

    def on_reset(self, code: int) -> None:
        assert not (self.ended and self.local_closed), "a reset after the end"
        super().on_reset(code)


def _http2(reads: list[bytes]) -> tuple[list[Any], bytes]:
    seen: list[Answering] = []

    def accept(connection: Connection, stream_id: int, head: RequestHead) -> Answering:
        stream = Answering(head)
        stream._begin(connection, stream_id, head.content_length)
        seen.append(stream)
        return stream

    connection = Connection(H2_LIMITS, lambda: None, accept=accept, now=100.0)
    for read in (PREFACE, *reads):
        connection.receive(read, 100.0)
        assert len(connection.streams) <= H2_LIMITS.streams
        assert connection.receiver.held <= 2 * H2_LIMITS.held_bytes + H2_LIMITS.connection_window
    connection.lose()
    assert not connection.streams
    assert all(each.ended or each.local_closed for each in seen), "a stream heard of no end"
    return [(each.body, each.ended, each.reset_code, each.trailers) for each in seen], connection.sender.take()


def check_http2(data: bytes) -> None:
    """A connection never raises, gives each stream one end, and sends the same whole frames however bytes arrive."""
    stream = data[1:]
    whole, sent = _http2([stream])
    assert split(sent)
    assert (whole, sent) == _http2(pieces(stream, data[0] if data else 0))


def http2_seeds() -> list[bytes]:
    client = RawClient()
    hello = client.hello()[len(PREFACE) :]
    call = client.head(1, grpc_head(b"/inference.GRPCInferenceService/ModelInfer"), False)
    more = client.head(3, [*POST, (b"content-length", b"3"), (b"x", b"y" * 60)], False)
    block = client.block(POST)
    return [
        b"\x01" + hello + call + client.data(1, b"\0\0\0\0\1x"),
        b"\x02" + hello + h2.SETTINGS_ACK + call + more + client.data(3, b"abc") + client.data(1, b"", True),
        b"\x00" + hello + h2.ping(b"12345678") + h2.window_update(0, 100_000) + h2.settings({4: 1, 5: 16_384, 3: 2}),
        b"\x03" + hello + h2.frame(1, 0, 1, block[:3]) + h2.frame(9, 4, 1, block[3:]) + h2.rst_stream(1, 8) + h2.goaway(0, 0),
        b"\x04" + hello + h2.frame(1, 0x2C, 5, b"\2\0\0\0\0\7" + block + b"\0\0") + h2.frame(0, 9, 5, b"\1a\0") + h2.window_update(5, 30_000),
    ]  # fmt: skip


# gRPC


def _grpc(reads: list[bytes], encoding: bytes) -> tuple[list[tuple[bool, bytes]], int | None]:
    found: list[tuple[bool, bytes]] = []
    try:
        reader = grpc.MessageReader(encoding, 1024, 10_000)
        for read in reads:
            found += reader.feed(read)
        reader.finish()
    except grpc.RpcFault as fault:
        return found, fault.status
    return found, None


def check_grpc(data: bytes) -> None:
    """Messages do not depend on the cut, and a packed one holds what Python's gzip finds in it."""
    head, stream = data[:2].ljust(2, b"\0"), data[2:]
    encoding = (b"", b"identity", b"gzip", b"gzip", stream[:8])[head[1] % 5]
    found, status = _grpc([stream], encoding)
    again, other = _grpc(pieces(stream, head[0]), encoding)
    assert (status is None) == (other is None)
    assert status is not None or found == again
    for packed, message in found:
        assert len(message) <= 1024
        if packed:
            _check_inflated(message)
    _check_values(stream[:200])


def _check_inflated(message: bytes) -> None:
    try:
        inflated = grpc.inflate(message, 4096)
    except grpc.RpcFault:
        return
    assert len(inflated) <= 4096
    assert inflated == gzip.decompress(message)


def _check_values(value: bytes) -> None:
    grpc.decode_text(value)
    text = value.decode("utf-8", "replace")
    assert grpc.decode_text(grpc.encode_text(text)) == text.strip(" ")  # no header value keeps its outer blanks
    if refused(lambda: grpc.parse_timeout(value), grpc.RpcFault) is None:
        assert grpc.parse_timeout(value) >= 0.0
    if refused(lambda: grpc.decode_binary(value), grpc.RpcFault) is None:
        assert grpc.decode_binary(grpc.encode_binary(grpc.decode_binary(value))) == grpc.decode_binary(value)


def grpc_seeds() -> list[bytes]:
    packed = grpc.deflate(b"hello " * 50)
    return [
        b"\x01\x00" + mutate.lengths_kept([b"abc", b"", b"x" * 200]),
        b"\x02\x02" + grpc.prefix(len(packed), True) + packed + grpc.prefix(2) + b"ab",
        b"\x00\x0110m",
        b"\x05\x0099999999H",
        b"\x07\x03" + grpc.prefix(len(packed) * 2, True) + packed * 2,
    ]


# Content codings

_CODINGS = (b"gzip", b"deflate", b"identity", b"", b"x-gzip", b" GZIP ", b"br", b"gzip, gzip")


def check_compression(data: bytes) -> None:
    """What is unfolded is what Python's own modules make of it, within the limit; the quick way agrees."""
    coding, body = _CODINGS[data[0] % len(_CODINGS)] if data else b"", data[1:]
    compression.accepts_gzip({b"accept-encoding": body[:300]})
    limit = 1_000_000
    kinds = (Unsupported, InvalidInput, TooLarge)
    if refused(lambda: compression.decompress(body, coding, limit), *kinds):
        return
    plain = compression.decompress(body, coding, limit)
    assert len(plain) <= limit
    quick = compression.decompress_small(body, coding, limit)
    assert quick is None or quick == plain
    if coding == b"gzip":
        assert plain == gzip.decompress(body)
    elif coding == b"deflate":
        assert plain in _inflations(body)


def _inflations(body: bytes) -> list[bytes]:
    found = []
    for window in (15, -15):
        try:
            found.append(zlib.decompress(body, window))
        except zlib.error:
            continue
    return found


def compression_seeds() -> list[bytes]:
    member = gzip.compress(b'{"inputs": []}' * 20, mtime=0)
    return [
        b"\x00" + member,
        b"\x00" + member + gzip.compress(b"", mtime=0) + member,
        b"\x01" + zlib.compress(b"abc" * 100),
        b"\x01" + zlib.compress(b"abc" * 100, wbits=-15),
        b"\x02plain",
        b"\x00" + gzip.compress(bytes(2_000_000), mtime=0),
        b"\x03gzip;q=0.5, *;q=0, deflate",
    ]


# Targets of requests

OPEN = Need(About.NOTHING)
_TABLE = paths.Table(
    [
        paths.Route("GET", "/", lambda exchange, params: None, OPEN),
        paths.Route("POST", "/v2/models/{model}[/versions/{version}]/infer", lambda exchange, params: None, OPEN),
        paths.Route("POST", "/v1/models/{model}/:predict", lambda exchange, params: None, OPEN),
    ]
)


def check_paths(data: bytes) -> None:
    """A target is cut and found, or refused."""
    try:
        segments = paths.split(data)
        route, params = _TABLE.find("POST", segments)
    except (InvalidInput, NotFound, MethodNotAllowed):
        return
    assert route.pattern.startswith("/v")
    assert all(isinstance(each, str) for each in params.values())


def paths_seeds() -> list[bytes]:
    return [b"/", b"/v2/models/a%20b/versions/1/infer?x=y", b"/v1/models/iris:predict/", b"/v2/models/%E2%82%AC/infer"]


# Frames between processes

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What both ends of a channel take for the end of it."""


def _frames(reads: list[bytes]) -> tuple[list[tuple[bytes, bytes]], bool]:
    reader, found = frames.FrameReader(), []
    try:
        for read in reads:
            for header, payload in reader.feed(read):
                found.append((header, bytes(payload)))
    except frames.BrokenFrame:
        return found, True
    return found, False


def check_ipc(data: bytes) -> None:
    """Frames do not depend on the cut; a header is a message or no MessagePack of ours; errors keep their code."""
    stream = data[1:]
    whole = _frames([stream])
    assert whole == _frames(pieces(stream, data[0] if data else 0))
    for header, payload in whole[0]:
        for decode in (messages.decode_to_worker, messages.decode_from_worker):
            refused(lambda decode=decode, header=header: decode(header), *UNREADABLE)
        try:
            error = messages.decode_error(payload)
        except UNREADABLE:
            continue
        assert str(error.to_error()) == error.message


def ipc_seeds() -> list[bytes]:
    spec = ModelSpec(name="iris", version="1", path="/models/iris", runtime="sklearn")
    error = messages.encode(ErrorRecord("invalid_input", "no", "hint", "inputs[0]"))
    said: list[tuple[Any, bytes]] = [
        (messages.Load(1, spec), b""),
        (messages.Batch(7, 1, 4, b"\1\2", [2, 3], [-1, -1], [1.5, 2.5]), b"{}abc"),
        (messages.Done(7, b"\0\1", [2, len(error)], [-1, -1], 2, 1, 0.1, 0.2, 0.3), b"{}" + error),
        (messages.Hello(12), b""),
        (messages.Stop(), error),
    ]
    whole = [frames.prefix(messages.encode(message), len(payload)) + payload for message, payload in said]
    return [
        b"\x01" + whole[0],
        b"\x02" + b"".join(whole),
        b"\x00" + whole[2] + whole[4],
        b"\x03" + struct.pack("<II", 2, 9),
    ]


TARGETS = (
    Target("http1", check_http1, http1_seeds, mutate.after(1, mutate.tokens(*HTTP1_WORDS))),
    Target("http2", check_http2, http2_seeds, mutate.after(1, mutate.http2_frames)),
    Target("grpc", check_grpc, grpc_seeds, mutate.after(2, mutate.grpc_messages)),
    Target("compression", check_compression, compression_seeds, mutate.after(1, mutate.gzipped)),
    Target(
        "paths", check_paths, paths_seeds, mutate.tokens(b"/", b"%", b"%2F", b"%00", b"%zz", b":predict", b"?", b"//")
    ),
    Target("ipc", check_ipc, ipc_seeds, mutate.after(1, mutate.ipc_frames)),
)
