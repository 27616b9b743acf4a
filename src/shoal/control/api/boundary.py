"""The outermost shell of the control API: who may call at all, and what happens to errors that nobody expected.

A browser could be made to call it by any page that it shows, and adds by itself what lets it in: a password, a
certificate, or being on this machine. So requests that come from other sites are refused:

    Host            must be a loopback name, or one that the settings name: a foreign name that resolves to this machine
                    (DNS rebinding) does not get in
    Sec-Fetch-Site  what browsers mark as coming from another site is refused
    Origin          must be the origin that is called

Each answer has an `x-request-id`: the caller's own, or one made here.
"""

from __future__ import annotations

import itertools
import logging
import re
import secrets
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shoal.control.api import problems
from shoal.control.security.credentials import PAGE
from shoal.core.errors import PermissionDenied, ShoalError
from shoal.core.settings.node import is_loopback

logger = logging.getLogger(__name__)

REQUEST_ID = "x-request-id"
SAFE_SITES = ("", "same-origin", "none")

_VALID_ID = re.compile(r"[\x21-\x7e]{1,128}")
_PREFIX = secrets.token_hex(4)
_next = itertools.count(1).__next__


class Boundary:
    """An ASGI app around the application.

    Args:
        app: what answers those who get in.
        names: host names, besides the loopback names, by which this control may be called.
    """

    def __init__(self, app: ASGIApp, names: Collection[str] = ()) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answering = _Answering(send, request_id(headers))
        scope.setdefault("state", {})["request_id"] = answering.request_id
        try:
            self._check(headers)
            await self._app(scope, receive, answering.send)
        except ShoalError as error:
            await answering.fail(error, scope, receive)
        except Exception as error:  # noqa: BLE001 - the last line: told to the caller as a bug, and logged
            await answering.fail(problems.unexpected(error), scope, receive)

    def _check(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._knows(host):
            raise problems.Misdirected(
                f"{host[:100]!a} is no name of this control",
                hint="call it as 127.0.0.1 or localhost, or add the name to `names` in its settings",
                field="host",
            )
        if headers.get("sec-fetch-site", "").lower() not in SAFE_SITES:
            raise _foreign("a page of another site has made this request")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise _foreign(f"the origin {origin[:100]!a} is not this control")

    def _knows(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return is_loopback(name) or name in self._names


def request_id(headers: Headers) -> str:
    """The caller's id if it can be put into headers and logs as it is, or a new one."""
    given = headers.get(REQUEST_ID, "")
    return given if _VALID_ID.fullmatch(given) else f"{_PREFIX}-{_next():x}"


def _foreign(sentence: str) -> PermissionDenied:
    return PermissionDenied(sentence, hint="use the shoal command, or a page of this control itself", field="origin")


class _Answering:
    """The sending side: marks each answer, and can still tell of an error while nothing has been sent."""

    def __init__(self, send: Send, request_id: str) -> None:
        self.request_id = request_id
        self._send = send
        self._started = self._ended = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self.request_id
            headers.setdefault("x-content-type-options", "nosniff")
            headers.setdefault("cache-control", "no-store")
        self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def fail(self, error: ShoalError, scope: Scope, receive: Receive) -> None:
        if self._ended:
            return
        if self._started:
            logger.error("an answer broke off", extra={"request_id": self.request_id}, exc_info=error)
            raise error
        page = scope["state"].get(PAGE, False)
        await problems.to_response(error, self.request_id, page=page)(scope, receive, self.send)
