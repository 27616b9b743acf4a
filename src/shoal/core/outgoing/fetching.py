"""`fetch`: what is at a web address that somebody else has named.

Blocks: for a thread, or a model's own code. Names are resolved by the system, with its own time limits; all the rest
ends with the policy's seconds. Proxies that the environment names are not used, as they would resolve names themselves;
no cookies and no credentials are sent.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import msgspec

from shoal.core.clock import Clock, monotonic
from shoal.core.errors import DeadlineExceeded, PermissionDenied, ShoalError, TooLarge, Unavailable
from shoal.core.outgoing import connecting, urls
from shoal.core.outgoing.addresses import Address
from shoal.core.outgoing.connecting import Connect, Pinned, Timer
from shoal.core.outgoing.policy import VARIABLE, Allow, policy_of
from shoal.core.outgoing.urls import Target
from shoal.core.version import __version__

Resolve = Callable[[str, int], Sequence[str]]
"""The IP addresses of a name."""

_MOVED = (301, 302, 303, 307, 308)
_BROKEN = (OSError, http.client.HTTPException, ValueError)
_HEADERS = {"User-Agent": f"shoal/{__version__}", "Accept-Encoding": "identity", "Connection": "close"}


class Answer(msgspec.Struct, frozen=True):
    """What came.

    Attributes:
        url: of the last hop.
        body: all of it.
        headers: names in lower case.
    """

    url: str
    body: bytes
    headers: Mapping[str, str]


def resolve(host: str, port: int) -> list[str]:
    """See `Resolve`; asks the system."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def fetch(
    url: str,
    allow: Allow | None = None,
    *,
    accept: str = "*/*",
    context: ssl.SSLContext | None = None,
    resolve: Resolve = resolve,
    connect: Connect = connecting.connect,
    clock: Clock = monotonic,
) -> Answer:
    """The answer at an address, with status 200.

    Args:
        url: as somebody else has written it.
        allow: what may be fetched; by default as the node of this worker says, or else everything public.
        accept: media types that are asked for.
        context: for TLS; by default one that verifies names by the system's authorities.
        resolve, connect: how names become addresses, and addresses connections.

    Raises:
        InvalidInput: no web address, or one that can be read in two ways.
        PermissionDenied: it, or where it leads to, is not allowed.
        TooLarge, DeadlineExceeded: more, or later, than allowed.
        Unavailable: nothing answers, or not with 200.
    """
    allow = _of_node(os.environ.get(VARIABLE, "")) if allow is None else allow
    timer = Timer(allow.seconds, clock)
    target = urls.parse(url)
    for _ in range(allow.hops + 1):
        addresses = _checked(target, allow, resolve)
        timer.left()
        connection = _open(target, addresses, timer, connect, context)
        try:
            found = _ask(connection, target, allow, accept)
        except _BROKEN as error:
            raise _told(error, target, timer) from error
        finally:
            connection.end()
        if isinstance(found, Answer):
            return found
        target = _next(target, found)
    raise PermissionDenied(f"{urls.parse(url).host[:100]} leads on more than {allow.hops} times", field="url")


@lru_cache(maxsize=4)
def _of_node(text: str) -> Allow:
    return policy_of({VARIABLE: text})


def _checked(target: Target, allow: Allow, resolve: Resolve) -> list[Address]:
    """The addresses of a target; all of them may be called."""
    allow.check(target)
    literal = target.literal
    try:
        found = [literal] if literal is not None else list(map(ipaddress.ip_address, resolve(target.host, target.port)))
    except (OSError, ValueError) as error:
        raise Unavailable(f"{target.host[:100]} has no address", hint="check the name", field="url") from error
    if not found:
        raise Unavailable(f"{target.host[:100]} has no address", hint="check the name", field="url")
    allow.check_addresses(target, found)
    if target.port in allow.own_ports and any(map(connecting.is_own, found)):
        raise PermissionDenied(f"{target.host[:100]} is this machine, and does not call itself there", field="url")
    return found


def _open(
    target: Target, addresses: Sequence[Address], timer: Timer, connect: Connect, context: ssl.SSLContext | None
) -> Pinned:
    """A connection to the first address that takes one."""
    failure: Exception | None = None
    for address in addresses[:4]:
        try:
            return Pinned(target, connect(address, target.port, timer.left()), timer, context)
        except OSError as error:
            failure = error
    assert failure is not None
    raise _told(failure, target, timer) from failure


def _ask(connection: Pinned, target: Target, allow: Allow, accept: str) -> Answer | str:
    """The answer, or where it is said to be."""
    headers = {"Host": target.authority, "Accept": accept, **_HEADERS}
    connection.request("GET", target.path, headers=headers)
    response = connection.getresponse()
    if response.status in _MOVED and (location := response.headers.get("Location")):
        return location
    if response.status != http.HTTPStatus.OK:
        raise Unavailable(f"{target.origin} answers with status {response.status}", field="url")
    if (response.length or 0) > allow.max_bytes:
        raise _too_large(target, allow)
    body = response.read(allow.max_bytes + 1)
    if len(body) > allow.max_bytes:
        raise _too_large(target, allow)
    if response.length:
        raise Unavailable(f"{target.origin} broke off its answer", field="url")
    return Answer(str(target), body, {name.lower(): value for name, value in response.getheaders()})


def _next(target: Target, location: str) -> Target:
    following = urls.follow(target, location)
    if target.scheme == "https" and following.scheme == "http":
        raise PermissionDenied(f"{target.origin} leads from https to http", field="url")
    return following


def _too_large(target: Target, allow: Allow) -> TooLarge:
    return TooLarge(f"what is at {target.origin} has more than {allow.max_bytes} bytes", field="url")


def _told(error: Exception, target: Target, timer: Timer) -> ShoalError:
    if isinstance(error, TimeoutError):
        try:
            timer.left()
        except DeadlineExceeded as late:
            return late
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unavailable(f"the certificate of {target.origin} is not good: {error.verify_message}", field="url")
    return Unavailable(f"{target.origin} does not answer as a web server does", hint="check the address", field="url")
