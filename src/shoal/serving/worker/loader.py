"""Loads the models of a shared worker in a thread of its own, one at a time, in the order in which they were asked for.

A model is seen by batches from the moment its load is done. What it takes meanwhile is the interpreter's lock, a little
at a time (see `upkeep`); a framework's own code lets go of that lock, or does not take long.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

from shoal.core.ipc.messages import FromWorker, Load
from shoal.serving.worker.channel import Closed
from shoal.serving.worker.residency import Residency

logger = logging.getLogger(__name__)


class Loader:
    """See the module.

    Args:
        residency: where models go.
        send: tells the parent; from any thread.
    """

    def __init__(self, residency: Residency, send: Callable[[FromWorker], None]) -> None:
        self._residency = residency
        self._send = send
        self._queue: SimpleQueue[Load] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
        self.busy = False
        """Whether a load is running now."""

    def start(self) -> None:
        """Begin; the thread ends with the process."""
        self._thread.start()

    def load(self, message: Load) -> None:
        """Load this after those before it; the parent is told of the outcome."""
        self._queue.put(message)

    def _run(self) -> None:
        try:
            while True:
                message = self._queue.get()
                self.busy = True
                self._send(self._residency.load(message))
                self.busy = False
        except Closed:
            logger.debug("the parent has gone while a model was loaded")
