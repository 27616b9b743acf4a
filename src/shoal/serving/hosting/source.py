"""Where routes come from: control when it answers, the last good ones when it does not.

A route that is on disk and that the feed has not touched is as good as control's own word, and costs no question. One
that was touched is asked for anew; if control is silent, the old one goes on being used.
"""

from __future__ import annotations

import logging
from typing import Protocol

from shoal.core.errors import DeadlineExceeded, NotFound, Unavailable
from shoal.core.routes import Feed, NodeStatus, Route
from shoal.serving.hosting.state import Key, RouteState

logger = logging.getLogger(__name__)


class Control(Protocol):
    """What a node asks of control. Each may raise `Unavailable` when control does not answer."""

    async def route(self, address: str, version: str) -> Route:
        """Raises `NotFound` if there is no such service, model or version."""
        ...

    async def desired(self) -> list[Route]:
        """The routes of all services that run without being called."""
        ...

    async def feed(self, after: int, wait: float) -> Feed:
        """What has changed after a position; waits up to `wait` seconds for something to."""
        ...

    async def report(self, status: NodeStatus) -> None:
        """Tell how this node does."""
        ...


class RouteSource:
    """See the module.

    Args:
        control: whom to ask.
        state: the last good routes.
    """

    def __init__(self, control: Control, state: RouteState) -> None:
        self._control = control
        self._state = state

    async def route(self, key: Key) -> Route:
        """How an address (and version) is answered.

        Raises:
            NotFound: control knows no such thing.
            Unavailable: control does not answer, and nothing is known from before.
        """
        known = self._state.get(key)
        if known is not None and not known[1]:
            return known[0]
        try:
            return await self.ask(key)
        except (Unavailable, DeadlineExceeded) as error:
            if known is None:
                raise
            logger.warning("control does not answer, the last good route is used: %s", error, extra={"model": key[0]})
            return known[0]

    def known(self, key: Key) -> Route | None:
        """As it was told last."""
        found = self._state.get(key)
        return found[0] if found else None

    async def ask(self, key: Key) -> Route:
        """As control says it now.

        Raises:
            NotFound, Unavailable: see `route`.
        """
        try:
            route = await self._control.route(*key)
        except NotFound:
            self._state.forget(key)
            raise
        self._state.put(key, route)
        return route

    async def desired(self) -> list[Route]:
        """What runs without being called, as control says; as it was last, if control is silent."""
        try:
            routes = await self._control.desired()
        except (Unavailable, DeadlineExceeded) as error:
            logger.warning("control does not answer, starting with the last good routes: %s", error)
            return self._state.desired()
        for route in routes:
            self._state.put((route.service.address, ""), route)
        return routes
