"""Where the calls of one model go: to the proxy that has it, found once and kept until that changes."""

from __future__ import annotations

from math import inf
from typing import Protocol

from shoal.core.call import Call
from shoal.core.errors import ShoalError
from shoal.core.model import ModelSpec
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
    """One call on its way. One that is hedged is on its way twice, until either of the two has its outcome.

    Attributes:
        link: the proxy that has it; None while it is held.
        number: by which that proxy knows it.
        sent: how often it was sent; a proxy that certainly has not run it does not count once it is hedged.
        failed: the proxy that has failed it before, if any.
        boot: of that proxy, if it refused the call: it would do so again until it has started anew.
        error: what to say if it cannot be tried again.
        until: how long it may be held.
        rationed: it counts to the retry budget.
        over: it has its outcome, or is about to.
        twin: the same call at another proxy.
        hedge: it is the second of two.
        watched: after how many seconds it is to be hedged; 0: not, or not any more.
    """

    __slots__ = (
        "boot",
        "call",
        "error",
        "failed",
        "hedge",
        "link",
        "number",
        "over",
        "rationed",
        "sent",
        "target",
        "twin",
        "until",
        "watched",
    )

    def __init__(self, call: Call, target: RemoteDispatch) -> None:
        self.call = call
        self.target = target
        self.link: Link | None = None
        self.number = self.sent = 0
        self.failed: Link | None = None
        self.boot = ""
        self.error: ShoalError | None = None
        self.until = inf
        self.rationed = self.over = self.hedge = False
        self.twin: Pending | None = None
        self.watched = 0.0


class RemoteDispatch:
    """Where calls of one model go, as it was asked for; implements `core.call.Dispatch`.

    Attributes:
        key: by which its proxy is chosen.
        pure: whether a call may run twice.
        hedge_seconds: after which a call is sent to a second proxy as well; 0: never.
        unhedged_until: the second proxy does not have the model; it is not asked again before (monotonic seconds).
        rows: in flight.
    """

    __slots__ = (
        "_calls",
        "_links",
        "_revision",
        "hedge_seconds",
        "key",
        "name",
        "pure",
        "rows",
        "unhedged_until",
        "version",
    )

    def __init__(self, calls: Takes, name: str, version: str, *, pure: bool) -> None:
        self.name = name
        self.version = version
        self.key = f"{name}/{version}"
        self.pure = pure
        self.hedge_seconds = 0.0
        self.unhedged_until = -inf
        self.rows = 0
        self._calls = calls
        self._links: list[Link] = []
        self._revision = -1

    def follow(self, spec: ModelSpec) -> None:
        """Send calls as the model says from now on."""
        self.pure = spec.pure
        self.hedge_seconds = (spec.hedge_after_ms or 0.0) / 1000 if spec.pure else 0.0

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
