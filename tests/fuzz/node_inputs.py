"""Inputs for a whole node: mutated requests, RPCs and streams of bytes, each sent once; and what may come back.

A function that sends takes one input made from `Random`, asserts that the answer is clear, and returns its status. A node
that does not end a stream is a hang, and fails as one.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Sequence
from http.client import HTTPConnection
from random import Random
from typing import Any

import grpc
import pytest

from fuzz import mutate
from fuzz.body_targets import JSON_WORDS, v1_seeds, v2_json_seeds
from fuzz.wire_targets import HTTP1_WORDS
from shoal.core.types import InferenceRequest, Tensor
from shoal.core.wire import v2_proto
from shoal.core.wire.http2 import PREFACE
from support.http2_wire import POST, Answers, RawClient, grpc_head

ALLOWED = {501, 502, 503, 504}
"""Of the statuses from 500 on: what is not offered, a model's own failure, a refusal for now, a deadline."""
LAST = 0x7001
"""The stream of the good request that follows a mutated stream of bytes."""
PATHS = (
    "/v2/models/arrays/infer",
    "/v2/models/oracle/infer",
    "/v1/models/arrays:predict",
    "/v2/models/oracle/predict_all",
)

METHODS = (
    "ModelInfer",
    "ModelReady",
    "ModelMetadata",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
    "ServerMetadata",
)


_change = mutate.tokens(b'"arrays"', b'"oracle"', b'"y"', *JSON_WORDS)
_change_http1 = mutate.tokens(*HTTP1_WORDS)
_BODIES = [*v2_json_seeds(), *v1_seeds(), b'{"inputs":["a","b"]}']


def ask(link: HTTPConnection, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body of an answer."""
    link.request(method, path, body, headers)
    answer = link.getresponse()
    return answer.status, answer.read()


def try_request(link: HTTPConnection, random: Random) -> int:
    """A REST request with a body that is changed, and at times a wrong length of its JSON; its status."""
    body = _change(random.choice(_BODIES), random)
    headers = {"Content-Type": "application/json"}
    if random.random() < 0.15:
        headers["Inference-Header-Content-Length"] = str(
            random.choice((0, 1, len(body) // 2, len(body), len(body) + 1))
        )
    status, text = ask(link, "POST", random.choice(PATHS), body, headers)
    assert status < 500 or status in ALLOWED, (status, text, body)
    assert status == 200 or json.loads(text)["error"], (status, text, body)
    return status


def _messages() -> list[bytes]:
    numbers = Tensor("x", [2, 1], "FP64", [1.0, 2.0], {"p": True})
    texts = Tensor("inputs", [2], "BYTES", [b"a", b"b"])
    requests = [
        InferenceRequest([numbers], model_name="arrays", id="7", parameters={"priority": 1, "timeout": 10_000_000}),
        InferenceRequest([texts], model_name="oracle"),
    ]
    return [v2_proto.encode_request(each, raw=raw) for each in requests for raw in (True, False)]


_MESSAGES = _messages()


def methods(channel: grpc.Channel) -> list[Any]:
    """All RPCs, `ModelInfer` first."""
    return [channel.unary_unary(f"/inference.GRPCInferenceService/{name}") for name in METHODS]


def try_rpc(methods: Sequence[Any], random: Random) -> grpc.StatusCode:
    """An RPC with a message that is changed; its status."""
    message = mutate.records(random.choice(_MESSAGES), random)
    code = _call(methods[0] if random.random() < 0.7 else random.choice(methods), message)
    assert code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS), message
    return code


def _call(method: Any, message: bytes) -> grpc.StatusCode:
    try:
        method(message, timeout=20)
    except grpc.RpcError as error:
        return error.code()  # type: ignore[no-any-return,attr-defined]
    return grpc.StatusCode.OK


def try_http1(port: int, random: Random) -> list[bytes]:
    """A stream of HTTP/1.1; the statuses of what was answered."""
    stream = _change_http1(random.choice(_http1_streams()), random)
    statuses = re.findall(rb"HTTP/1\.[01] ([0-9]{3})", _exchange(port, stream, random))
    assert b"500" not in statuses, stream
    return statuses


def try_http2(port: int, random: Random) -> list[bytes]:
    """A stream of HTTP/2 and a good request after it; the statuses of what was answered."""
    stream = PREFACE + mutate.http2_frames(random.choice(_http2_streams()), random)
    answers = Answers().feed(_converse(port, stream))
    statuses = [heads[0].get(b":status", b"") for heads in answers.headers.values()]
    assert b"500" not in statuses, stream
    return statuses


def _exchange(port: int, data: bytes, random: Random) -> bytes:
    """Send a stream in a few writes, end it, and read until the node ends it too. A node that never does is a hang."""
    answer = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        try:
            cut = random.randrange(len(data) + 1)
            for piece in (data[:cut], data[cut:]):
                link.sendall(piece)
            link.shutdown(socket.SHUT_WR)
            while piece := link.recv(65_536):
                answer += piece
        except (ConnectionResetError, BrokenPipeError):
            pass  # refused while we were still writing
    return bytes(answer)


def _http1_streams() -> list[bytes]:
    body = b'{"inputs":["a"]}'
    head = b"POST /v2/models/oracle/predict_all HTTP/1.1\r\nHost: shoal\r\nContent-Type: application/json\r\n"
    whole = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return [whole, whole * 3, chunked + whole, b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n" + chunked]


def _converse(port: int, stream: bytes) -> bytes:
    """Send a stream, then a good request, and read until that is answered or the node ends the connection.

    Where the good request has become part of a frame that was cut, nothing is to come, and we end the connection.
    """
    answer = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=0.1) as link:
        try:
            link.sendall(stream + RawClient().head(LAST, [(b":method", b"GET"), *POST[1:]]))
            while not _has_ended(answer, LAST) and (piece := link.recv(65_536)):
                answer += piece
        except TimeoutError:
            pass
        except (ConnectionResetError, BrokenPipeError):
            return bytes(answer)
        return bytes(answer) + _end(link)


def _end(link: socket.socket) -> bytes:
    """End our side and read until the node ends its own."""
    rest = bytearray()
    link.settimeout(10)
    try:
        link.shutdown(socket.SHUT_WR)
        while piece := link.recv(65_536):
            rest += piece
    except TimeoutError:
        pytest.fail("the node does not end the connection")
    except OSError:
        pass  # it has done so already
    return bytes(rest)


def _has_ended(answer: bytes | bytearray, stream: int) -> bool:
    at = 0
    while len(answer) - at >= 9:
        kind, flags = answer[at + 3], answer[at + 4]
        if kind in (0, 1) and flags & 1 and int.from_bytes(answer[at + 5 : at + 9], "big") == stream:
            return True
        at += 9 + int.from_bytes(answer[at : at + 3], "big")
    return False


def _http2_streams() -> list[bytes]:
    client, body = RawClient(), b'{"inputs":["a"]}'
    hello = client.hello()[len(PREFACE) :]
    fields = [(name, b"/v2/models/oracle/predict_all" if name == b":path" else value) for name, value in POST]
    message = _messages()[2]
    call = client.head(1, grpc_head(b"/inference.GRPCInferenceService/ModelInfer"), False)
    unary = hello + call + client.data(1, b"\0" + len(message).to_bytes(4, "big") + message)
    rest = client.head(3, fields, False) + client.data(3, body[:5], False) + client.data(3, body[5:])
    return [unary, unary + rest, RawClient().hello()[len(PREFACE) :] + RawClient().head(1, fields, False)]
