"""An open-loop load: requests leave when they are due, whatever became of the earlier ones, on a thread of their own.

Half of them speak REST, half gRPC, over a few connections each. A request that no server has taken (refused, or not read
before its connection ended) goes to the next address, as any balancer would send it; one that was taken is never sent again.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

from chaos.harness.ledger import Ask, Entry, Ledger
from shoal.client.address import parse_url
from shoal.client.caller import LinkError
from shoal.client.channel import Http2Channel
from shoal.client.grpc import GrpcDialect
from shoal.client.operations import Dialect, Headers, Operation, Reply
from shoal.client.rest import RestDialect
from shoal.client.retry import Failure
from shoal.core.errors import ShoalError

Traffic = Callable[[int, Random], Ask]
"""What the request of this number asks."""

Way = tuple[Dialect, list[tuple[str, Http2Channel]]]
"""A protocol, and the servers in the order in which they are offered a request."""

LOST_AFTER = 10.0
"""Seconds after its deadline at which a request is called hung."""
LEAST = 0.001
"""Seconds that a request is given that leaves after its deadline, as the generator itself was late."""
STARVED = 1.0
"""Seconds that the generator may be late; if it is later, this machine gives it no time, and its schedule begins anew."""
TRIES, PAUSE = 20, 0.05
"""How often a request that nobody takes is offered, and how long it waits in between."""


class Load:
    """See the module; begins with the `with` block, and at its end waits for every outcome.

    Args:
        urls: of the servers.
        traffic: what is asked.
        rate: requests per second; may be changed at any time.
        seed: of arrivals and traffic.
        first: of its requests' numbers.
        timeout: seconds that each request may take; the server is told.
        links: connections to each server and protocol.
        headers: that each request carries besides.

    Attributes:
        shunned: servers that are not ready, and get nothing; may be changed at any time.
    """

    def __init__(
        self,
        urls: Sequence[str],
        traffic: Traffic,
        *,
        rate: float,
        seed: int,
        first: int = 0,
        timeout: float = 20.0,
        links: int = 2,
        headers: Headers = (),
    ) -> None:
        self.ledger = Ledger(first)
        self.rate = rate
        self.shunned: set[str] = set()
        self._urls = urls
        self._traffic = traffic
        self._random = Random(seed)
        self._timeout = timeout
        self._links = links
        self._headers = headers
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")
        self._broken: BaseException | None = None

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        if self._broken is not None:
            raise self._broken

    def reached(self, requests: int, seconds: float = 600.0) -> None:
        """Wait until so many requests have ended, or one has failed."""
        end = time.monotonic() + seconds
        while self.ledger.ended < requests and not self.ledger.faults:
            assert time.monotonic() < end, f"{self.ledger.ended} of {requests} requests ended in {seconds:g} s"
            assert self._thread.is_alive(), "the load has ended"
            time.sleep(0.02)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._broken = error

    async def _main(self) -> None:
        channels = [[(url, Http2Channel(parse_url(url))) for url in self._urls] for _ in range(2 * self._links)]
        ways: list[Way] = []
        for number, each in enumerate(channels):
            at = number // 2 % len(each)
            ways.append((GrpcDialect() if number % 2 else RestDialect(), each[at:] + each[:at]))
        tasks: set[asyncio.Task[None]] = set()
        try:
            await self._send_when_due(ways, tasks)
            if tasks:
                await asyncio.wait(tasks)
        finally:
            for _, channel in (one for each in channels for one in each):
                await channel.close()

    async def _send_when_due(self, ways: list[Way], tasks: set[asyncio.Task[None]]) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            due += self._random.expovariate(self.rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            late = time.monotonic() - due
            self.ledger.lag = max(self.ledger.lag, late)
            if late > STARVED:
                due += late
            entry = self.ledger.enter(self._traffic(self.ledger.next, self._random), due, self._timeout)
            dialect, channels = ways[entry.number % len(ways)]
            task = asyncio.create_task(self._one(entry, dialect, channels))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _one(self, entry: Entry, dialect: Dialect, channels: list[tuple[str, Http2Channel]]) -> None:
        ask = entry.ask
        left = max(LEAST, entry.deadline - time.monotonic())
        operation = dialect.predict_all(ask.model, ask.version, [ask.text], timeout=left, pure=False)
        sending = asyncio.ensure_future(self._offer(operation, dialect, left, channels))
        done, _ = await asyncio.wait(
            {sending}, timeout=left + LOST_AFTER if ask.leave_after is None else ask.leave_after
        )
        if done:
            outcome, told = _read(operation, sending)
        else:
            outcome, told = "hang" if ask.leave_after is None else "left", ""
            sending.cancel()
            with suppress(asyncio.CancelledError, LinkError, ShoalError):
                await sending
        self.ledger.end(entry, outcome, told, time.monotonic())

    async def _offer(
        self, operation: Operation[list[str]], dialect: Dialect, left: float, channels: list[tuple[str, Http2Channel]]
    ) -> Reply:
        headers = (*dialect.headers(left), *self._headers)
        for turn in range(TRIES):
            url, channel = channels[turn % len(channels)]
            try:
                if url not in self.shunned:
                    return await channel.send(operation.outgoing, headers)
            except LinkError as error:
                if error.failure is not Failure.UNSENT or turn == TRIES - 1:
                    raise
            if turn % len(channels) == len(channels) - 1:
                await asyncio.sleep(PAUSE)
        raise LinkError(Failure.UNSENT, "no server is ready")


def _read(operation: Operation[list[str]], sending: asyncio.Future[Reply]) -> tuple[str, str]:
    """The outcome of a request, and what was told."""
    try:
        (answer,) = operation.decode(sending.result())
    except LinkError as error:
        return ("refused" if error.failure is Failure.UNSENT else "lost"), error.message
    except ShoalError as error:
        return error.code, f"{error.message} {error.hint}"
    return "ok", answer
