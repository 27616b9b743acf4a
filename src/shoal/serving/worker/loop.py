"""A worker's life: say hello, then do what the parent says, in order, one thing at a time.

One thread reads, computes and writes; nothing overlaps inside an adapter. In a shared worker another thread loads, so
that the models which are there go on being served meanwhile. The loop ends at `Stop`, or when the parent has gone.
"""

from __future__ import annotations

import os
import threading

import msgspec

from shoal.core.clock import Clock
from shoal.core.errors import NotReady
from shoal.core.ipc import messages
from shoal.core.ipc.messages import Batch, FromWorker, Hello, Load, Stop, Unload
from shoal.core.wire.raw_data import Buffer
from shoal.serving.worker.batch import fail_batch, run_batch
from shoal.serving.worker.channel import Channel, Closed
from shoal.serving.worker.limits import Memory, resident_bytes
from shoal.serving.worker.loader import Loader
from shoal.serving.worker.residency import Factory, Residency
from shoal.serving.worker.upkeep import SharedUpkeep, Upkeep

IDLE_SECONDS = 0.5
"""Seconds without a request after which memory is put in order."""


class Loop:
    """Serves one parent.

    Args:
        channel: to the parent.
        create: makes the adapter for a spec.
        clock: monotonic seconds, the parent's clock.
        shared: whether models are loaded beside those that are served.
        missing: what the parent is told of this worker's confinement.

    Attributes:
        loader: who loads, in a shared worker.
    """

    def __init__(
        self,
        channel: Channel,
        create: Factory,
        clock: Clock,
        *,
        shared: bool = False,
        missing: dict[str, str] | None = None,
    ) -> None:
        self._channel = channel
        self._missing = missing or {}
        self._serving = threading.Lock()
        self._residency = Residency(create, clock, SharedUpkeep(self._serving) if shared else Upkeep())
        self._clock = clock
        self._memory = Memory(clock)
        self.loader = Loader(self._residency, self._send) if shared else None

    def run(self) -> None:
        """Serve until `Stop` or the end of the parent."""
        try:
            if self.loader is not None:
                self.loader.start()
            self._send(Hello(os.getpid(), resident_bytes(), self._missing))
            while self._step():
                pass
        except Closed:
            return

    def _step(self) -> bool:
        upkeep = self._residency.upkeep
        if upkeep.due and self._channel.is_quiet(IDLE_SECONDS):
            upkeep.idle()
        header, payload = self._channel.read()
        message = messages.decode_to_worker(header)
        if isinstance(message, Batch):
            with self._serving:
                self._run(message, payload)
        elif isinstance(message, Load):
            self._load(message)
        elif isinstance(message, Unload):
            self._send(self._residency.unload(message))
        return not isinstance(message, Stop)

    def _load(self, message: Load) -> None:
        if self.loader is not None:
            self.loader.load(message)
        else:
            self._send(self._residency.load(message))

    def _run(self, batch: Batch, payload: Buffer) -> None:
        try:
            served = self._residency.find(batch.model)
        except NotReady as error:
            done, parts = fail_batch(batch, error)
        else:
            done, parts = run_batch(served, batch, payload, self._clock)
        done = msgspec.structs.replace(done, memory_bytes=self._memory())
        self._channel.write(messages.encode(done), parts)

    def _send(self, message: FromWorker) -> None:
        self._channel.write(messages.encode(message), ())
