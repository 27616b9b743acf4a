"""gRPC: a stream whose body is messages, that is an `Rpc` for the application, and ends with a status once.

The common case, a unary request in one DATA frame, is recognised at once and handled without any buffer; its answer is
one write of ready-made blocks. Everything else (many frames, streams of messages, gzip) goes through `_Inbox`, which
hands messages over in their order even when large ones are inflated in an executor.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from shoal.core.wire import grpc
from shoal.core.wire.grpc import PREFIX, PREFIX_SIZE, RpcFault, Status
from shoal.core.wire.http2 import STREAM_SLOTS, RequestHead, Stream, encode_block, encode_field
from shoal.serving.gateway.exchange import Headers, Method, Rpc, RpcMethods, RpcStream, Streaming, Unary, WireLimits
from shoal.serving.gateway.sockets.compression import ON_LOOP_BYTES
from shoal.serving.gateway.sockets.http2_exchange import safe_value

if TYPE_CHECKING:
    from shoal.serving.gateway.sockets.http2 import Http2Connection

_START_FIELDS = [(b":status", b"200"), (b"content-type", b"application/grpc")]
_START = encode_block(_START_FIELDS)
_START_GZIP = encode_block([*_START_FIELDS, (b"grpc-encoding", b"gzip")])
_OK = encode_block([(b"grpc-status", b"0")])
_ACCEPT = (b"grpc-accept-encoding", grpc.ENCODINGS)
_NOT_POST = encode_block([(b":status", b"405"), *_START_FIELDS[1:]])
_STATUSES = [encode_block([(b"grpc-status", b"%d" % status)]) for status in range(len(Status))]
_ON_LOOP_INFLATED = 4 * ON_LOOP_BYTES


class Plan:
    """What a head means for gRPC; the same for all repeats of the head.

    Attributes:
        method: what answers, unless there is a `fault`.
        handle: of a unary method.
        timeout: seconds, or None.
        encoding: of the messages.
        gzip: the client understands it.
        start: the header block of an answer (of an error: without its status).
    """

    __slots__ = ("encoding", "fault", "gzip", "handle", "method", "start", "timeout")

    def __init__(self, head: RequestHead, methods: RpcMethods, limits: WireLimits) -> None:
        headers = head.headers
        self.method: Method | None = methods.get(head.path)
        self.handle = self.method.handle if isinstance(self.method, Unary) else None
        self.timeout: float | None = None
        self.encoding = headers.get(b"grpc-encoding", b"")
        self.gzip = b"gzip" in headers.get(b"grpc-accept-encoding", b"")
        self.start = _START if head.method == b"POST" else _NOT_POST
        self.fault: RpcFault | None = None
        try:
            self._check(head, limits)
        except RpcFault as fault:
            self.fault = fault

    def _check(self, head: RequestHead, limits: WireLimits) -> None:
        if head.oversize or len(head.path) > limits.target_bytes:
            raise RpcFault(Status.RESOURCE_EXHAUSTED, "the metadata is larger than allowed")
        if head.method != b"POST":
            raise RpcFault(Status.INTERNAL, "gRPC is spoken with POST only")
        if self.method is None:
            raise RpcFault(Status.UNIMPLEMENTED, f"no such method: {head.path.decode('utf-8', 'replace')[:256]}")
        if head.content_length > limits.body_bytes + PREFIX_SIZE and self.handle:
            raise grpc.too_large(limits.body_bytes)
        if (timeout := head.headers.get(b"grpc-timeout")) is not None:
            self.timeout = grpc.parse_timeout(timeout)
        grpc.MessageReader(self.encoding, limits.body_bytes, limits.chunk_count)


class Http2Rpc(Rpc, Stream):
    """One gRPC call; see `Rpc` and `Stream` for the meaning of its methods."""

    __slots__ = ("_app", "_compressed", "_finished", "_inbox", "_plan", "_shell", "_started", *STREAM_SLOTS)

    def __init__(self, shell: Http2Connection, stream_id: int, head: RequestHead, plan: Plan) -> None:
        self._begin(shell.wire, stream_id, head.content_length)
        self._shell = shell
        self._plan = plan
        self._app: RpcStream | None = None
        self._inbox: _Inbox | None = None
        self._compressed = self._finished = self._started = False
        self.path = head.path
        self.metadata = head.headers
        self.arrived = arrived = self.progress
        self.deadline = None if plan.timeout is None else arrived + plan.timeout
        self.on_gone = None

    # The stream's side

    def on_open(self) -> None:
        plan = self._plan
        if plan.fault is not None:
            self._end_with(plan.fault)
        elif isinstance(plan.method, Streaming):
            self._app = self._shell.open_rpc(self, plan.method)

    def on_data(self, data: bytes, end: bool) -> None:
        if self._finished:
            return
        if end and self._inbox is None and self._app is None and len(data) >= PREFIX_SIZE:
            flag, length = PREFIX.unpack_from(data)
            if not flag and length == len(data) - PREFIX_SIZE <= self._shell.limits.body_bytes:
                self._deliver(data[PREFIX_SIZE:])
                return
        if self._inbox is None:
            self._inbox = _Inbox(self, self._shell, self._plan.encoding)
        self._inbox.feed(data, end)

    def on_reset(self, code: int) -> None:
        self._finished = True
        self._inbox = None
        self._shell.gone(self)

    def on_overflow(self) -> None:
        self._end_with(RpcFault(Status.RESOURCE_EXHAUSTED, "this connection has too many unfinished requests"))

    def on_stalled(self) -> None:
        """The body made no progress for too long: a fault, unless it is a stream of messages that simply rests."""
        if self._app is None or (self._inbox is not None and self._inbox.partial):
            self._end_with(RpcFault(Status.DEADLINE_EXCEEDED, "the message did not arrive in time"))

    def on_message(self, message: bytes, compressed: bool) -> None:
        """A message from the inbox."""
        self._compressed |= compressed
        if self._app is not None:
            self._shell.guard(self, self._app.on_message, message)
        else:
            self._deliver(message)

    def on_end(self) -> None:
        """The last message of a streaming call was handed over."""
        if self._app is not None and not self._finished:
            self._shell.guard(self, self._app.on_end)

    def on_fault(self, fault: RpcFault) -> None:
        """The inbox cannot go on."""
        self._end_with(fault)

    @property
    def unary(self) -> bool:
        """Whether exactly one message is expected."""
        return self._app is None

    def _deliver(self, message: bytes) -> None:
        shell = self._shell
        if shell.congested:
            shell.dispatch(lambda: self._deliver(message))
            return
        if self._finished:
            return
        assert self._plan.handle is not None
        try:
            self._plan.handle(self, message)
        except Exception as error:  # noqa: BLE001 - logged and answered by `failed`
            shell.failed(self, error)

    # The answer

    def peer(self) -> str:
        return self._shell.peer()

    def certificate(self) -> str:
        return self._shell.certificate()

    def finish(self, message: bytes) -> None:
        if self._finished:
            return
        self._finished = True
        self._inbox = self.on_gone = None
        if self._compressed and self._plan.gzip and len(message) >= grpc.COMPRESS_FROM:
            self._finish_compressed(message)
            return
        self.connection.sender.answer(self, _START, PREFIX.pack(0, len(message)), message, _OK)

    def _finish_compressed(self, message: bytes) -> None:
        if len(message) <= ON_LOOP_BYTES:
            self._send_compressed(grpc.deflate(message))
            return
        packing = self._shell.loop.run_in_executor(None, grpc.deflate, message)
        packing.add_done_callback(self._packed)

    def _packed(self, packing: asyncio.Future[bytes]) -> None:
        if not packing.cancelled():
            self._send_compressed(packing.result())

    def _send_compressed(self, packed: bytes) -> None:
        if not self.local_closed:
            self.connection.sender.answer(self, _START_GZIP, PREFIX.pack(1, len(packed)), packed, _OK)

    def send(self, message: bytes) -> None:
        if self._finished:
            return
        if not self._started:
            self._started = True
            self.send_headers(_START)
        self.send_data(PREFIX.pack(0, len(message)) + message)

    def end(self) -> None:
        if self._finished:
            return
        if not self._started:
            self.send_headers(_START)
        self._finished = True
        self._inbox = self.on_gone = None
        self.send_trailers(_OK)

    def fail(self, status: int, message: str, metadata: Headers = (), details: bytes = b"") -> None:
        if self._finished:
            return
        self._finished = True
        self._inbox = self.on_gone = None
        block = _STATUSES[status] if 0 <= status < len(_STATUSES) else _STATUSES[Status.UNKNOWN]
        if message:
            block += encode_field(b"grpc-message", grpc.encode_text(message))
        if details:
            block += encode_field(b"grpc-status-details-bin", grpc.encode_binary(details))
        for name, value in metadata:
            block += encode_field(name.lower(), safe_value(value))
        if self._started:
            self.send_trailers(block)
        else:
            self.send_headers(self._plan.start + block, end=True)

    def _end_with(self, fault: RpcFault) -> None:
        refused = fault.status == Status.UNIMPLEMENTED and self._plan.encoding
        self._shell.gone(self)
        self.fail(fault.status, fault.text, (_ACCEPT,) if refused else ())


class _Inbox:
    """The messages of a call, in order.

    A message that would take long to inflate is given to the executor; those behind it wait.
    """

    __slots__ = ("_count", "_inflating", "_limit", "_queue", "_reader", "_rpc", "_shell")

    def __init__(self, rpc: Http2Rpc, shell: Http2Connection, encoding: bytes) -> None:
        limits = shell.limits
        self._rpc = rpc
        self._shell = shell
        self._limit = limits.body_bytes
        self._reader = grpc.MessageReader(encoding, limits.body_bytes, limits.chunk_count)
        self._queue: deque[tuple[bool, bytes] | None] = deque()
        self._count = 0
        self._inflating = False

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._reader.partial

    def feed(self, data: bytes, end: bool) -> None:
        """Take a part of the body."""
        try:
            messages = self._reader.feed(data)
            if end:
                self._reader.finish()
            self._count += len(messages)
            if self._rpc.unary and (self._count > 1 or (end and not self._count)):
                raise RpcFault(Status.INTERNAL, "a unary call has exactly one message")
        except RpcFault as fault:
            self._rpc.on_fault(fault)
            return
        self._queue += messages
        if end:
            self._queue.append(None)
        self._advance()

    def _advance(self) -> None:
        """Hand over what is ready. A unary message waits for the end of its stream, so that no second one can come."""
        queue = self._queue
        while queue and not self._inflating and not self._rpc.local_closed:
            if self._rpc.unary and queue[-1] is not None:
                return
            item = queue.popleft()
            if item is None:
                self._rpc.on_end()
            elif item[0]:
                self._inflate(item[1])
            else:
                self._rpc.on_message(item[1], False)
        if not queue and not self._rpc.unary and not self.partial:
            self._rpc.release()

    def _inflate(self, data: bytes) -> None:
        small = min(self._limit, _ON_LOOP_INFLATED)
        try:
            message = grpc.inflate(data, small) if len(data) <= ON_LOOP_BYTES else None
        except RpcFault as fault:
            if fault.status != Status.RESOURCE_EXHAUSTED or small == self._limit:
                self._rpc.on_fault(fault)
                return
            message = None
        if message is not None:
            self._rpc.on_message(message, True)
            return
        self._inflating = True
        self._shell.loop.run_in_executor(None, grpc.inflate, data, self._limit).add_done_callback(self._inflated)

    def _inflated(self, inflating: asyncio.Future[bytes]) -> None:
        self._inflating = False
        if inflating.cancelled():
            return
        error = inflating.exception()
        if error is None:
            self._rpc.on_message(inflating.result(), True)
            self._advance()
        elif isinstance(error, RpcFault):
            self._rpc.on_fault(error)
        else:
            self._shell.failed(self._rpc, error)
