"""A worker's life: say hello, then do what the parent says, in order, one thing at a time.

One thread reads, computes and writes; nothing overlaps inside an adapter. The loop ends at `Stop`, or when the parent
has gone.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable

import msgspec

from shoal.core.clock import Clock
from shoal.core.errors import NotReady
from shoal.core.ipc import messages
from shoal.core.ipc.messages import Batch, FromWorker, Hello, Load, Stop, Unload
from shoal.core.wire.raw_data import Buffer
from shoal.serving.worker.batch import fail_batch, run_batch
from shoal.serving.worker.channel import Channel, Closed
from shoal.serving.worker.limits import Memory
from shoal.serving.worker.residency import Factory, Residency


class Loop:
    """Serves one parent.

    Args:
        channel: to the parent.
        create: makes the adapter for a spec.
        clock: monotonic seconds, the parent's clock.
        settle: see `Residency`.
    """

    def __init__(
        self, channel: Channel, create: Factory, clock: Clock, settle: Callable[[], object] = gc.collect
    ) -> None:
        self._channel = channel
        self._residency = Residency(create, clock, settle)
        self._clock = clock
        self._memory = Memory(clock)

    def run(self) -> None:
        """Serve until `Stop` or the end of the parent."""
        try:
            self._send(Hello(os.getpid()))
            while self._step():
                pass
        except Closed:
            return

    def _step(self) -> bool:
        header, payload = self._channel.read()
        message = messages.decode_to_worker(header)
        if isinstance(message, Batch):
            self._run(message, payload)
        elif isinstance(message, Load):
            self._send(self._residency.load(message))
        elif isinstance(message, Unload):
            self._send(self._residency.unload(message))
        return not isinstance(message, Stop)

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
