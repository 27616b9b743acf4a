"""Blobs over the control API: for nodes that have no access to the artifact store itself.

`GET {control}/v1/blobs/{sha256}` answers with the content, and its length. An answer that breaks off is told as
`Unavailable`, so that whoever reads may try again; nothing is taken for the end but the end.
"""

from __future__ import annotations

import http.client
import io
import os
from collections.abc import Mapping
from typing import Any, BinaryIO, cast
from urllib.parse import SplitResult, urlsplit

from shoal.control.artifacts.blobs import check_digest, missing
from shoal.control.artifacts.retrying import Retry
from shoal.core.errors import ConfigError, PermissionDenied, ShoalError, Unavailable
from shoal.core.tls import client_context

_BROKEN = (OSError, http.client.HTTPException)


class HttpSource:
    """A `BlobSource` behind a control process.

    Args:
        control: its URL, such as ``http://127.0.0.1:8081``.
        headers: sent along, such as ``Authorization``.
        timeout_seconds: for a connection, and for the next bytes of an answer.
        retry: how often a blob is asked for.
    """

    def __init__(
        self,
        control: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 20.0,
        retry: Retry = Retry(),  # noqa: B008 - a frozen value
    ) -> None:
        self._url = _parse(control)
        self._headers = dict(headers or {})
        self._timeout = timeout_seconds
        self._retry = retry

    def open(self, sha256: str) -> BinaryIO:
        path = f"{self._url.path.rstrip('/')}/v1/blobs/{check_digest(sha256)}"
        return self._retry.call(lambda: self._get(path, sha256))

    def _get(self, path: str, sha256: str) -> BinaryIO:
        connection = self._connection()
        try:
            connection.request("GET", path, headers=self._headers)
            response = connection.getresponse()
        except _BROKEN as error:
            connection.close()
            raise _unavailable("does not answer") from error
        if response.status != http.HTTPStatus.OK:
            response.close()
            connection.close()
            raise _refusal(response.status, sha256)
        return cast(BinaryIO, io.BufferedReader(_Body(connection, response), 65_536))

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "https":
            context = client_context(os.environ)
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=context)
        return http.client.HTTPConnection(host, port, timeout=self._timeout)


class _Body(io.RawIOBase):
    """The body of an answer as a file; closing it closes the connection."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            size = self._response.readinto(buffer)
        except _BROKEN as error:
            raise _unavailable("broke off its answer") from error
        if not size and len(buffer) and self._response.length:
            raise _unavailable("broke off its answer")
        return size

    def close(self) -> None:
        if not self.closed:
            self._response.close()
            self._connection.close()
        super().close()


def _parse(control: str) -> SplitResult:
    try:
        url = urlsplit(control)
        known = url.scheme in ("http", "https") and bool(url.hostname) and (url.port or 0) >= 0
    except ValueError:
        known = False
    if not known or "@" in url.netloc or url.query or url.fragment:
        raise ConfigError("the URL of control is none", hint="such as http://127.0.0.1:8081", field="control")
    return url


def _refusal(status: int, sha256: str) -> ShoalError:
    if status == http.HTTPStatus.NOT_FOUND:
        return missing(sha256)
    if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return PermissionDenied("control refuses to give artifacts to this node", hint="check the node's key")
    return _unavailable(f"answers with status {status}")


def _unavailable(what: str) -> Unavailable:
    hint = "check that control runs; what is cached on this machine is served without it"
    return Unavailable(f"control {what} when asked for an artifact", hint=hint, retry_after=0.1)
