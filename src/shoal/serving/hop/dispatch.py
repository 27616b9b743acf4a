"""Where the calls of one model go: to the proxy that has it, found once and kept until that changes."""

from __future__ import annotations

from math import inf
from typing import Protocol

from shoal.core.call import Call
from shoal.core.errors import ShoalError
from shoal.serving.hop.link import Link
from shoal.serving.hop.proxies import Proxies


class Takes(Protocol):
    """Whoever brings calls to proxies."""

    proxies: Proxies

    def take(self, pending: Pending, link: Link | None) -> None:
        """A new call, to be sent to this proxy; None: there is none."""

    def cancel(self, call: Call) -> None:
        """The caller has gone."""


class Pending:
    """One call on its way.

    Attributes:
        link: the proxy that has it; None while it is held.
        number: by which that proxy knows it.
        failed: the proxy that has failed it before, if any.
        boot: of that proxy, if it refused the call: it would do so again until it has started anew.
        error: what to say if it cannot be tried again.
        until: how long it may be held.
        retrying: it counts to the retry budget.
        over: it has its outcome, or is about to.
    """

    __slots__ = ("boot", "call", "error", "failed", "link", "number", "over", "retrying", "target", "until")

    def __init__(self, call: Call, target: RemoteDispatch) -> None:
        self.call = call
        self.target = target
        self.link: Link | None = None
        self.number = 0
        self.failed: Link | None = None
        self.boot = ""
        self.error: ShoalError | None = None
        self.until = inf
        self.retrying = self.over = False


class RemoteDispatch:
    """Where calls of one model go, as it was asked for; implements `core.call.Dispatch`.

    Attributes:
        key: by which its proxy is chosen.
        pure: whether a call may run twice.
        rows: in flight.
    """

    __slots__ = ("_calls", "_links", "_revision", "key", "name", "pure", "rows", "version")

    def __init__(self, calls: Takes, name: str, version: str, *, pure: bool) -> None:
        self.name = name
        self.version = version
        self.key = f"{name}/{version}"
        self.pure = pure
        self.rows = 0
        self._calls = calls
        self._links: list[Link] = []
        self._revision = -1

    def submit(self, call: Call) -> None:
        """Take the call over; see `core.call.Dispatch`."""
        calls = self._calls
        if self._revision != calls.proxies.revision:
            self._revision = calls.proxies.revision
            self._links = calls.proxies.links(self.key)
        links = self._links
        calls.take(Pending(call, self), (links[0] if len(links) == 1 else min(links, key=_rows)) if links else None)

    def cancel(self, call: Call) -> None:
        """The caller has gone; see `core.call.Dispatch`."""
        self._calls.cancel(call)


def _rows(link: Link) -> int:
    return link.rows
