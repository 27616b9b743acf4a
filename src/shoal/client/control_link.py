"""HTTP to the control port: connections that are kept, tried again where that is safe, errors as domain words.

Each change carries an `Idempotency-Key` that its repetitions share, so every request may be sent again when its answer
was lost: the effect happens once. Waits between attempts grow, with jitter, and follow the server's `Retry-After`.
"""

from __future__ import annotations

import http.client
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from shoal.client.address import Address, Tls, parse_url
from shoal.client.caller import Unreachable
from shoal.client.operations import Reply
from shoal.client.retry import Failure, Retries
from shoal.core.errors import InternalError, ShoalError, Unavailable
from shoal.core.tls import client_context

MAX_ANSWER = 256 * 1024 * 1024
CHUNK = 256 * 1024
SAFE = ("GET", "HEAD")

T = TypeVar("T")
Progress = Callable[[int], None]
"""Told how many bytes of a file have gone over the wire so far; it begins again when the file is sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file as a request's body; `progress` is told of each piece."""

    file: BinaryIO
    size: int
    progress: Progress | None = None


class ControlLink:
    """Requests to one control, from any number of threads.

    Args:
        url: of the control.
        actor: who asks; written down by control where nobody needs a key.
        key: an API key; "" for a control that lets in this machine.
        timeout: seconds that an answer may take, beyond what a request asks to wait.
        retries: how often, and after which time.
        tls: for ``https://``; None: as `SHOAL_CA`, `SHOAL_CERT` and `SHOAL_CERT_KEY` say.
    """

    def __init__(
        self,
        url: str,
        *,
        actor: str = "",
        key: str = "",
        timeout: float = 60.0,
        retries: Retries | None = None,
        tls: Tls | None = None,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.url = url
        self._address = parse_url(url)
        self._actor = actor
        self._key = key
        self._timeout = timeout
        self._retries = retries or Retries(attempts=4, base_seconds=0.1, max_seconds=5.0)
        self._tls = tls
        self._sleep = sleep
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []

    def call(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        query: dict[str, object] | None = None,
        body: msgspec.Struct | Upload | None = None,
        wait: float = 0.0,
    ) -> T:
        """Ask, and read the answer as a value of `kind`.

        Args:
            query: parameters; those that are empty are left out.
            wait: how much longer than usual the answer may take.

        Raises:
            ShoalError: what control answered, or why it could not be asked.
        """
        reply = self.ask(method, _target(path, query), body=body, wait=wait)
        try:
            return msgspec.json.decode(reply.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InternalError(
                f"what answers at {self.url} is no control", hint="check --control and SHOAL_CONTROL"
            ) from error

    def do(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, object] | None = None,
        body: msgspec.Struct | Upload | None = None,
        again: str = "",
    ) -> None:
        """Ask for something that has no answer but success; `again` as for `ask`."""
        self.ask(method, _target(path, query), body=body, again=again)

    def ask(
        self,
        method: str,
        target: str,
        *,
        body: msgspec.Struct | Upload | None = None,
        wait: float = 0.0,
        again: str = "",
    ) -> Reply:
        """One request with its repetitions; the complete answer.

        Args:
            again: the idempotency key, where the same may be asked again later; by default a new one.

        Raises:
            ShoalError: as for `call`.
        """
        headers = self._headers(method, body)
        if again:
            headers["idempotency-key"] = again
        for attempt in range(self._retries.attempts + 1):
            try:
                with self._response(method, target, headers, body, wait) as response:
                    return Reply(response.status, {}, _whole(response))
            except Unavailable as error:
                self._wait(error, attempt)
        raise AssertionError("unreachable")

    def fetch(self, path: str, target: BinaryIO, progress: Progress | None = None) -> None:
        """Write the answer to a GET into a file, from the file's beginning.

        Raises:
            ShoalError: as for `call`.
            OSError: the file cannot be written.
        """
        for attempt in range(self._retries.attempts + 1):
            target.seek(0)
            target.truncate()
            try:
                with self._response("GET", path, self._headers("GET", None), None, 0.0) as response:
                    return _copy(response, target, progress)
            except Unavailable as error:
                self._wait(error, attempt)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _headers(self, method: str, body: msgspec.Struct | Upload | None) -> dict[str, str]:
        headers = {"accept": "application/json"}
        if self._actor:
            headers["x-shoal-actor"] = self._actor
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        if method not in SAFE:
            headers["idempotency-key"] = secrets.token_hex(16)
        if body is not None:
            streamed = isinstance(body, Upload)
            headers["content-type"] = "application/octet-stream" if streamed else "application/json"
        return headers

    @contextmanager
    def _response(
        self, method: str, target: str, headers: dict[str, str], body: msgspec.Struct | Upload | None, wait: float
    ) -> Iterator[http.client.HTTPResponse]:
        """Send once. The connection is kept if the answer was read to its end, and closed otherwise."""
        connection, whole = self._connection(self._timeout + wait), False
        try:
            try:
                _send(connection, method, self._address.prefix + target, headers, body)
                response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                self.close()
                raise self._unreachable(error) from error
            with response:
                if response.status >= 400:
                    raise _refusal(response)
                yield response
                whole = response.isclosed() and connection.sock is not None
        finally:
            self._done_with(connection, keep=whole)

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        with self._lock:
            connection = self._idle.pop() if self._idle else _connect(self._address, self._tls)
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        return connection

    def _done_with(self, connection: http.client.HTTPConnection, *, keep: bool) -> None:
        if keep:
            with self._lock:
                self._idle.append(connection)
        else:
            connection.close()

    def _wait(self, error: Unavailable, attempt: int) -> None:
        """Wait before the next attempt, or raise if there is none."""
        seconds = self._retries.wait(attempt, error.retry_after, self._rng)
        if seconds is None or not self._retries.allows(Failure.UNSENT, attempt=attempt, pure=True):
            raise error
        self._sleep(seconds)

    def _unreachable(self, error: Exception) -> Unavailable:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        hint = "start it with `shoal control`, or name another with --control or SHOAL_CONTROL"
        return Unreachable(f"control at {self.url} does not answer: {reason}", hint=hint)


def segment(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="+@:")


def _target(path: str, query: dict[str, object] | None) -> str:
    told = {name: value for name, value in (query or {}).items() if value not in (None, "", False)}
    return f"{path}?{urlencode(told)}" if told else path


def _connect(address: Address, tls: Tls | None) -> http.client.HTTPConnection:
    if address.secure:
        context = client_context(os.environ) if tls is None else tls.context()
        context.set_alpn_protocols(["http/1.1"])
        return http.client.HTTPSConnection(address.host, address.port, context=context)
    return http.client.HTTPConnection(address.host, address.port)


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    headers: dict[str, str],
    body: msgspec.Struct | Upload | None,
) -> None:
    if not isinstance(body, Upload):
        connection.request(method, target, None if body is None else msgspec.json.encode(body), headers)
        return
    body.file.seek(0)
    connection.putrequest(method, target)
    for name, value in {**headers, "content-length": str(body.size)}.items():
        connection.putheader(name, value)
    connection.endheaders()
    with suppress(BrokenPipeError, ConnectionResetError):  # the answer says why the server reads no more
        _send_file(connection, body)


def _send_file(connection: http.client.HTTPConnection, body: Upload) -> None:
    sent = 0
    while chunk := body.file.read(CHUNK):
        connection.send(chunk)
        sent += len(chunk)
        if body.progress:
            body.progress(sent)


def _copy(response: http.client.HTTPResponse, target: BinaryIO, progress: Progress | None) -> None:
    got = 0
    while chunk := _read(response, CHUNK):
        target.write(chunk)
        got += len(chunk)
        if progress:
            progress(got)


def _read(response: http.client.HTTPResponse, size: int) -> bytes:
    try:
        data = response.read(size)
    except (OSError, http.client.HTTPException) as error:
        raise _broken_off() from error
    if not data and response.length:  # less came than its head has promised, of which `read` says nothing
        raise _broken_off()
    return data


def _broken_off() -> Unavailable:
    return Unavailable("the answer of control broke off", hint="try again")


def _whole(response: http.client.HTTPResponse) -> bytes:
    """The answer, in bounds."""
    body = bytearray()
    while chunk := _read(response, CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER:
            raise InternalError("the answer of control is too large")
    return bytes(body)


def _refusal(response: http.client.HTTPResponse) -> ShoalError:
    """The error that an answer tells of."""
    from shoal.client.problems import from_http

    headers = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in response.getheaders()}
    try:
        body = response.read(1024 * 1024)
    except (OSError, http.client.HTTPException):
        body = b""
    return from_http(Reply(response.status, headers, body))
