"""The workers of one model version at all hosts that have it; takes the place of a pool (`batching.workers`).

A batch goes to a host that has room for it, and its owner is told how it ended: by the host's word, or, where the host
is lost, by what `accounts.blames_job` makes of that. The model is ready as long as one host has a worker for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

from shoal.core.errors import NotReady
from shoal.core.ipc.messages import Loaded
from shoal.core.model import ModelSpec
from shoal.serving.peering.connection import ProtocolError
from shoal.serving.pool.jobs import Job, Loss
from shoal.serving.remote import messages
from shoal.serving.remote.accounts import blames_job, next_of
from shoal.serving.remote.crew import Crew
from shoal.serving.remote.link import Link
from shoal.serving.remote.marks import mark_of
from shoal.serving.remote.messages import Died, Lost, Opened, Ran, Refused, Slots
from shoal.serving.remote.patience import Loneliness, Start
from shoal.serving.remote.seat import Aside, Seat, fits, may_pass

logger = logging.getLogger(__name__)

HOST_LOST = "host_lost"
"""Label of the loss of a batch whose host is there no more."""
ASK_AGAIN = 1.0
"""Seconds after which a host is asked again whose refusal may pass: it has not the same files yet, say."""
LOAD_AGAIN = 30.0
"""Seconds after which a host is asked again that could not load the model."""


def _nothing() -> None:
    return


class RemoteWorkers:
    """See the module; implements `batching.workers.ModelWorkers`.

    Args:
        spec: the model version.
        crew: the hosts.
        spread: how many workers there are is for the proxy to say (`resize`), and they are spread over the hosts; else
            each host has as many as its own settings say.
        idle_seconds: after so long without a batch `on_idle` is told; None: never.

    Attributes:
        on_scale: called with the number of ready workers when it has changed.
        on_aside: called when `spare.free` may have grown.
        on_idle: called with a sentence when nobody has used the model for `idle_seconds`.
    """

    def __init__(self, spec: ModelSpec, crew: Crew, *, spread: bool = False, idle_seconds: float | None = None) -> None:
        self.spec = spec
        self.free = self.ready = 0
        self.on_room: Callable[[], None] = _nothing
        self.on_change: Callable[[], None] = _nothing
        self.on_death: Callable[[str], None] = lambda reason: None
        self.on_scale: Callable[[int], None] = lambda workers: None
        self.on_aside: Callable[[], None] = _nothing
        self.on_idle: Callable[[str], None] = lambda why: None
        self.loaded: Loaded | None = None
        self.failure = ""
        self.spare = Aside(self)
        self._crew = crew
        self._spread = spread
        self._wished = spec.limits.workers
        self._idle_seconds = idle_seconds
        self._used = crew.clock()
        self._number = 0
        self._mark = ""
        self._seats: dict[Link, Seat] = {}
        self._start: Start | None = None
        self._loneliness = Loneliness()
        self._idle = asyncio.Event()
        self._whole = asyncio.Event()

    turn = 0.0
    """How hosts share workers among proxies is in the slots that they give."""

    @property
    def ahead(self) -> int:
        """Rows that are running in front of the next job; 0 if a worker is idle."""
        return min((each.ahead for each in self._seats.values() if each.free), default=0)

    async def start(self, *, all_ready: bool = False) -> Loaded:
        """Return when one host can run it, or with `all_ready` all that are there, with as many workers as are wanted;
        while there is no host at all, one is waited for.

        Raises:
            ShoalError: no host can run the model.
        """
        self._mark = await asyncio.to_thread(mark_of, self.spec)
        start = self._start = Start(self._crew.clock())
        self._number = self._crew.number()
        self._crew.join(self._number, self)
        try:
            loaded = await start.outcome()
        finally:
            self._start = None
        if all_ready:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.spec.limits.load_seconds):
                    await self._whole.wait()
        return loaded

    def resize(self, workers: int) -> None:
        """Have so many workers on all hosts together, one at least on each; without `spread` nothing happens."""
        self._wished = workers
        self._scale()

    def processes(self) -> list[int]:
        """None of this machine."""
        return []

    def explain(self) -> dict[str, object]:
        """Facts for `why`."""
        hosts = {
            each.link.name: {
                "workers": each.workers,
                "under_way": len(each.jobs),
                **({"refused": each.refusal.message} if each.refusal else {}),
            }
            for each in self._seats.values()
        }
        return {"workers": self.ready, "workers_ready": self.ready, "processes": [], "hosts": hosts}

    def send(self, job: Job) -> None:
        """Run a job at the host with the most room; `free` must not be 0."""
        seat = next_of(self._seats.values())
        assert isinstance(seat, Seat)
        self.free -= 1
        self._send(seat, job, aside=False)

    async def drain(self) -> None:
        """Let hosts finish what they have, then stop."""
        self._check_idle()
        await self._idle.wait()
        await self.stop()

    async def stop(self) -> None:
        """Send nothing any more; what is under way is lost."""
        self._crew.leave(self._number)
        for seat in list(self._seats.values()):
            self._drop(seat, Loss("stop", suspect=False, outside=True))
        self._seats.clear()
        self.free = self.ready = 0
        if self._start is not None:
            self._start.fail(NotReady(f"model {self.spec.name!r} was stopped"))
        self.on_room = self.on_change = self.on_aside = _nothing
        self.on_idle = lambda why: None
        self.on_death, self.on_scale = lambda reason: None, lambda workers: None

    # What the crew tells

    def met(self, link: Link) -> None:
        self._seats[link] = Seat(link)
        self._open(self._seats[link])

    def considered(self, link: Link) -> None:
        if (seat := self._seats.get(link)) is not None:
            seat.closed = not link.usable
            self._scale()
            self._count()

    def parted(self, link: Link) -> None:
        seat = self._seats.pop(link, None)
        if seat is not None:
            self._drop(seat, None)
            self._scale()
            self._count()

    def opened(self, link: Link, opened: Opened) -> None:
        if (seat := self._seats.get(link)) is None:
            return
        seat.refusal, seat.opened = None, True
        self.loaded = opened.loaded
        self._scale()
        if self._start is not None:
            self._start.opened(opened.loaded)

    def refused(self, link: Link, refused: Refused) -> None:
        if (seat := self._seats.get(link)) is None:
            return
        error = seat.refusal = refused.error.to_error()
        logger.warning("host %s does not run %s: %s", link.name, self.spec.name, error.message)
        seat.again = self._crew.clock() + (ASK_AGAIN if may_pass(error) else LOAD_AGAIN)
        seat.slots = seat.workers = 0
        seat.opened = False
        self._count()
        self._give_up()

    def slots(self, link: Link, slots: Slots) -> None:
        if (seat := self._seats.get(link)) is not None:
            seat.slots, seat.workers, seat.failure = slots.slots, slots.workers, slots.failure
            self._count()

    def ran(self, link: Link, ran: Ran, payload: bytes | bytearray) -> None:
        seat = self._seats.get(link)
        job = seat.job(ran.id) if seat is not None else None
        if seat is None or job is None:
            return
        if not fits(ran.done, len(job.calls), len(payload)):
            raise ProtocolError("an answer that does not fit its batch")
        self._end(seat, ran.id)
        job.owner.done(job, ran.done, payload)

    def lost(self, link: Link, lost: Lost) -> None:
        seat = self._seats.get(link)
        job = seat.job(lost.id) if seat is not None else None
        if seat is not None and job is not None:
            self._end(seat, lost.id)
            job.owner.lost(job, Loss(lost.reason, suspect=lost.suspect, outside=lost.outside))

    def died(self, died: Died) -> None:
        self.on_death(died.reason)

    def tick(self, now: float) -> None:
        for seat in list(self._seats.values()):
            if seat.refusal is not None and now >= seat.again:
                seat.again = now + LOAD_AGAIN
                self._open(seat)
        self._give_up()
        self._look_for_idleness(now)
        company = bool(self.ready) or any(each.hopeful for each in self._seats.values())
        if self._loneliness.look(now, company=company) and not self.failure and self.loaded is not None:
            self.failure = self._why_lonely()
            self.on_change()

    def send_aside(self, seat: Seat, job: Job) -> None:
        """Run a job in the quarantine worker of a host."""
        self._send(seat, job, aside=True)

    @property
    def seats(self) -> Iterable[Seat]:
        """The model at each host that is connected."""
        return self._seats.values()

    def _open(self, seat: Seat) -> None:
        wanted = messages.Wanted(self.spec.name, self.spec.version, self._mark)
        seat.link.send(messages.Open(self._number, wanted))

    def _scale(self) -> None:
        """Spread the workers over the hosts that have the model; one that stands still for a moment is among them."""
        seats = [each for each in self._seats.values() if each.opened and not each.link.draining]
        if self._spread and seats:
            share = max(1, -(-self._wished // len(seats)))
            for seat in seats:
                seat.scale(self._number, share)

    def _look_for_idleness(self, now: float) -> None:
        if self._idle_seconds is not None and self.ready and now - self._used >= self._idle_seconds:
            self._used = now
            self.on_idle(f"nobody used it for {self._idle_seconds:g} seconds")

    def _send(self, seat: Seat, job: Job, *, aside: bool) -> None:
        self._used = now = self._crew.clock()
        seat.send(self._crew.batch(self, seat.link), self._number, job, now, aside=aside)

    def _end(self, seat: Seat, number: int) -> None:
        """A batch has its outcome: there is room, before anybody is told of it."""
        was_aside = number in seat.aside
        seat.end(number)
        self._crew.ended(number, seat.link)
        self._count()
        if was_aside:
            asyncio.get_running_loop().call_soon(self.on_aside)

    def _drop(self, seat: Seat, loss: Loss | None) -> None:
        """All that is under way there is lost, last to first, as what is innocent goes to the front of the queue."""
        losing = [(number, job, number in seat.aside) for number, job in seat.under_way()]
        for number, job, aside in sorted(losing, reverse=True, key=lambda each: each[0]):
            seat.end(number)
            if loss is None:
                self._crew.lose(number, seat.link)
            else:
                self._crew.ended(number, seat.link)
            job.owner.lost(job, loss or self._host_lost(job, aside=aside))

    def _host_lost(self, job: Job, *, aside: bool) -> Loss:
        for call in job.calls:
            call.attempts += 1
        losses = max((call.attempts for call in job.calls), default=0)
        return Loss(HOST_LOST, suspect=blames_job(losses, pure=self.spec.pure, aside=aside), outside=True)

    def _count(self) -> None:
        """Find out what may be sent, and tell those who want to know."""
        ready = sum(each.workers for each in self._seats.values() if not each.closed)
        self.free = sum(each.free for each in self._seats.values())
        if ready != self.ready:
            self.ready = ready
            if ready:
                self.failure = ""
            self.on_scale(ready)
            self.on_change()
            self.on_aside()
        if self.free:
            self.on_room()
        if ready >= (self._wished if self._spread else 1) and all(each.settled for each in self._seats.values()):
            self._whole.set()
        self._check_idle()

    def _why_lonely(self) -> str:
        told = [each.failure or (each.refusal.message if each.refusal else "") for each in self._seats.values()]
        return next((each for each in told if each), "no host of workers that has it can be reached")

    def _give_up(self) -> None:
        if self._start is not None:
            self._start.consider(self._seats.values(), self._crew.clock())

    def _check_idle(self) -> None:
        if any(each.jobs or each.aside for each in self._seats.values()):
            self._idle.clear()
        else:
            self._idle.set()
