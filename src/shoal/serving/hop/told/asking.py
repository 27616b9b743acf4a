"""Questions to proxies: to the one that has a model, or to all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from shoal.core.errors import NotFound, ShoalError, Unavailable
from shoal.serving.hop.link import Link
from shoal.serving.hop.messages import Ask, What
from shoal.serving.hop.proxies import Proxies

Payload = bytes | bytearray


class Asking:
    """See the module.

    Args:
        proxies: whom to ask.
        seconds: how long an answer may take.
    """

    def __init__(self, proxies: Proxies, seconds: float) -> None:
        self._proxies = proxies
        self._seconds = seconds

    async def one(self, link: Link, what: What, name: str = "", version: str = "", payload: bytes = b"") -> Payload:
        """Ask this proxy.

        Raises:
            ShoalError: its error, or `Unavailable`: it does not answer.
        """
        return await link.ask(Ask(link.number(), what, name, version), payload, seconds=self._seconds)

    async def owner(self, what: What, name: str, version: str) -> Payload:
        """Ask the proxy that has the model; if it is lost meanwhile, the next one.

        Raises:
            ShoalError: its error, or `Unavailable`: nobody answers.
        """
        if not self._proxies.usable:
            await self._proxies.there()
        error: ShoalError = Unavailable("no proxy can be reached", retry_after=1.0)
        for link in self._proxies.ranked(f"{name}/{version}")[:2]:
            try:
                return await self.one(link, what, name, version)
            except Unavailable as failed:
                error = failed
                if link.is_open and not link.state.draining:
                    break
        raise error

    async def everybody(self, what: What, name: str = "", version: str = "") -> list[Payload]:
        """The answers of all who have one.

        Raises:
            ShoalError: nobody has.
        """
        asks = (self.one(link, what, name, version) for link in self._proxies.usable)
        outcomes = await asyncio.gather(*asks, return_exceptions=True)
        told = [each for each in outcomes if isinstance(each, bytes | bytearray)]
        if not told:
            none = Unavailable("no proxy can be reached", retry_after=1.0)
            raise next((each for each in outcomes if isinstance(each, ShoalError)), none)
        return told

    async def order(self, what: What, name: str, links: Sequence[Link], payload: bytes) -> None:
        """Have something done by all of these, however long it takes.

        Raises:
            ShoalError: one of them could not do it, or all have no such model; it is fine if only some have not.
        """
        if not links:
            raise Unavailable("no proxy can be reached", retry_after=1.0)
        asks = (link.ask(Ask(link.number(), what, name), payload, seconds=None) for link in links)
        outcomes = await asyncio.gather(*asks, return_exceptions=True)
        errors = [each for each in outcomes if isinstance(each, BaseException)]
        real = [each for each in errors if not isinstance(each, NotFound)]
        if real or len(errors) == len(links):
            raise (real or errors)[0]
