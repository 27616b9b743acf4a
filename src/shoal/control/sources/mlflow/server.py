"""Requests to an MLflow tracking server: GET only, bounded in time, size and tries; redirects are not followed.

The server is what whoever runs this has set, never part of an address. What it answers is material: it is decoded to
typed values, and its messages are cut and escaped before they are shown.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from shoal.core.errors import (
    ConfigError,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ShoalError,
    Unauthenticated,
    Unavailable,
)

MAX_JSON = 16 * 1024 * 1024
CHUNK = 1024 * 1024
_CREDENTIALS = "set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
_URL = "such as http://127.0.0.1:5000, in MLFLOW_TRACKING_URI"
_OURS = "check MLFLOW_TRACKING_URI, and whether the server runs"
_MESSAGE = 64 * 1024
_BUSY = (429, 500, 502, 503, 504)
_KINDS: dict[int, type[ShoalError]] = {403: PermissionDenied, 404: NotFound}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """How a tracking server is reached.

    Attributes:
        url: such as ``http://127.0.0.1:5000`` or ``https://ml.example.org/mlflow``.
        token: sent as a bearer token; else `username` and `password`, if they are set.
        timeout: seconds for each step of a request.
        attempts: of each request, while the server cannot be reached or is busy.
        pause: seconds before the second attempt; doubled before each further one.
    """

    url: str
    token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    timeout: float = 30.0
    attempts: int = 3
    pause: float = 0.2


def tracking_from(environ: Mapping[str, str], url: str = "") -> Tracking | None:
    """The server that MLflow's own variables name; None if they name none.

    Args:
        url: instead of MLFLOW_TRACKING_URI.
    """
    url = url or environ.get("MLFLOW_TRACKING_URI", "")
    names = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    token, username, password = (environ.get(name, "") for name in names)
    return Tracking(url=url, token=token, username=username, password=password) if url else None


class _Place(NamedTuple):
    secure: bool
    host: str
    port: int | None
    base: str


class Server:
    """A tracking server that answers questions.

    Args:
        check_time: called between two reads; raises when there is no more time.
        sleep: between two attempts.

    Raises:
        ConfigError: the URL is none, or holds a password.
    """

    def __init__(
        self,
        tracking: Tracking,
        check_time: Callable[[], None] = lambda: None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._tracking = tracking
        self._place = _place(tracking.url)
        self._check_time = check_time
        self._sleep = sleep
        self.authority = urlsplit(tracking.url).netloc

    def ask(self, path: str, query: Mapping[str, str], kind: type[_T]) -> _T:
        """The answer to a question, as a value.

        Raises:
            ShoalError: it is refused, not found or cannot be answered now.
        """
        data = bytearray()
        for chunk in self._chunks(path, query):
            data += chunk
            if len(data) > MAX_JSON:
                break
        if len(data) > MAX_JSON:
            raise Unavailable(f"the answer of {self._tracking.url} is longer than {MAX_JSON} bytes", hint=_OURS)
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unavailable(f"{self._tracking.url} does not answer as MLflow does", hint=_OURS) from error

    def read(self, path: str) -> Iterator[bytes]:
        """The bytes of a file, as they come."""
        return self._chunks(path, {})

    def _chunks(self, path: str, query: Mapping[str, str]) -> Iterator[bytes]:
        with self._response(path, query) as response:
            while True:
                self._check_time()
                with _telling(self._tracking.url):
                    chunk = response.read1(CHUNK)
                if not chunk:
                    return
                yield chunk

    @contextmanager
    def _response(self, path: str, query: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """A response with status 200; it is closed with its connection."""
        target = self._place.base + quote(path) + (f"?{urlencode(query)}" if query else "")
        opened, response = self._try(target)
        with opened:
            yield response

    def _try(self, target: str) -> tuple[ExitStack, http.client.HTTPResponse]:
        for attempt in range(1, self._tracking.attempts):
            try:
                return self._send(target)
            except Unavailable:
                self._sleep(self._tracking.pause * 2 ** (attempt - 1))
        return self._send(target)

    def _send(self, target: str) -> tuple[ExitStack, http.client.HTTPResponse]:
        """A response with status 200, and what closes it and its connection."""
        with ExitStack() as opened, _telling(self._tracking.url):
            connection = self._connection()
            opened.callback(connection.close)
            connection.request("GET", target, headers=self._headers())
            response = connection.getresponse()
            opened.callback(response.close)
            if response.status == http.HTTPStatus.OK:
                return opened.pop_all(), response
            message = response.read(_MESSAGE)
        raise _refusal(self._tracking.url, response.status, message)

    def _connection(self) -> http.client.HTTPConnection:
        place, timeout = self._place, self._tracking.timeout
        if place.secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(place.host, place.port, timeout=timeout, context=context)
        return http.client.HTTPConnection(place.host, place.port, timeout=timeout)

    def _headers(self) -> dict[str, str]:
        tracking = self._tracking
        if tracking.token:
            return {"Authorization": f"Bearer {tracking.token}"}
        if tracking.username:
            pair = base64.b64encode(f"{tracking.username}:{tracking.password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}


def _place(url: str) -> _Place:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError("the address of the MLflow server is none", hint=_URL, field="tracking") from error
    if parts.username is not None or parts.password is not None:
        raise ConfigError("the address of the MLflow server holds a password", hint=_CREDENTIALS, field="tracking")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"{url[:100]!a} is no address of an MLflow server", hint=_URL, field="tracking")
    return _Place(parts.scheme == "https", parts.hostname, port, parts.path.rstrip("/"))


@contextmanager
def _telling(url: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ConfigError("the credentials for MLflow cannot be sent", hint=_CREDENTIALS, field="tracking") from error
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"the MLflow server {url} cannot be reached, or broke off", hint=_OURS) from error


def _refusal(url: str, status: int, body: bytes) -> ShoalError:
    if status in _BUSY:
        return Unavailable(f"the MLflow server {url} cannot answer now (HTTP {status})", hint="try again")
    if status == http.HTTPStatus.UNAUTHORIZED:
        return Unauthenticated(f"the MLflow server {url} asks who you are", hint=_CREDENTIALS, field="tracking")
    if 300 <= status < 400:
        return ConfigError(f"the MLflow server {url} sends us elsewhere, and we do not follow", hint=_URL)
    kind = _KINDS.get(status, InvalidInput)
    hint = "check the model's name, version or alias"
    return kind(f"MLflow says: {_said(body)} (HTTP {status})", hint=hint, field="source")


class _Message(msgspec.Struct):
    message: str = ""


def _said(body: bytes) -> str:
    try:
        text = msgspec.json.decode(body, type=_Message).message
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = ""
    return ascii(text[:200]) if text else "nothing that explains it"
