"""Asks a server once, and says whether the answer is good: used to wait for readiness and before each measurement."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import grpc

from benchmarks.driver import Request

LIMITS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]


class NotReady(Exception):
    """The server does not answer well (yet)."""


def ask(request: Request, timeout: float = 20.0) -> bytes:
    """The body of a good answer (for gRPC with its 5-byte prefix).

    Raises:
        NotReady: no connection, or an answer that is an error.
    """
    return _grpc(request, timeout) if request.grpc else _http(request, timeout)


def _http(request: Request, timeout: float) -> bytes:
    url = urlsplit(request.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout)
    try:
        connection.request("POST", url.path, request.body.read_bytes(), dict(request.headers))
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(repr(error)) from error
    finally:
        connection.close()
    if response.status != 200:
        raise NotReady(f"status {response.status}: {body[:200]!r}")
    return body


def _grpc(request: Request, timeout: float) -> bytes:
    url = urlsplit(request.url)
    with grpc.insecure_channel(url.netloc, options=LIMITS) as channel:
        call = channel.unary_unary(url.path)  # without serialisers: bytes in, bytes out
        try:
            answer: bytes = call(request.body.read_bytes()[5:], timeout=timeout)
        except grpc.RpcError as error:
            raise NotReady(f"{error.code()}: {error.details()}") from error
    return b"\0" + len(answer).to_bytes(4, "big") + answer
