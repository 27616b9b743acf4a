"""Each who waits for a model is told once: that it has come, or why it will not."""

from __future__ import annotations

import asyncio

import pytest

from shoal.core.errors import NotReady
from shoal.core.ipc.messages import Loaded
from shoal.core.types import Signature
from shoal.serving.pool.shared.arrivals import Arrivals

LOADED = Loaded(1, Signature(), "fake", True, "", 0.0, 1, "")


def test_all_who_wait_are_told_once() -> None:
    async def main() -> list[Loaded | BaseException]:
        arrivals = Arrivals()
        assert not arrivals
        first, left, later = arrivals.expect(), arrivals.expect(), arrivals.expect()
        assert arrivals
        left.cancel()
        arrivals.came(LOADED)
        assert not arrivals
        arrivals.fail(NotReady("nobody waits any more"))
        another = arrivals.expect()
        arrivals.fail(NotReady("it is broken"))
        return list(await asyncio.gather(first, later, another, return_exceptions=True))

    one, two, three = asyncio.run(main())
    assert one == two == LOADED
    assert isinstance(three, NotReady)


def test_who_has_left_costs_nobody_anything() -> None:
    async def main() -> None:
        arrivals = Arrivals()
        left, waiting = arrivals.expect(), arrivals.expect()
        left.cancel()
        arrivals.fail(NotReady("it is broken"))
        with pytest.raises(NotReady):
            await waiting

    asyncio.run(main())
