"""Keeps a worker's memory in order when models come and go.

A dedicated worker has all the time in the world around its one load: it collects all garbage, and leaves what lives
then out of later collections, as each full one would take longer than many a batch.

In a shared worker other models go on meanwhile, and a full collection would hold them all up. So automatic collections
are off while a model is loaded; what is not small is left out of later ones; and what an unloaded model has left behind
is collected, and given back to the system, when nobody asks for anything.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shoal.core.allocator import give_back
from shoal.serving.worker.limits import resident_bytes

SWITCH_SECONDS = 5e-6
"""How soon the thread that loads lets the one that serves have the interpreter, if that wants it. So short because a
thread that waits is only heard once it has waited for so long without the lock being free in between, and code that
reads a file, or computes tree by tree, lets go of it for a moment every few microseconds."""
QUIET = 0.05
"""Seconds at most to wait for the running batch, so that its memory is not taken for the model's."""
LARGE = 16 * 1024 * 1024
"""A model of so many bytes may consist of very many objects: it is left out of collections."""
TRIM = 4 * 1024 * 1024
"""Bytes of unloaded models after which memory is given back even if the worker is busy: a matter of a millisecond."""


def settle() -> None:
    """Collect garbage, and leave what is there then out of later collections."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class Upkeep:
    """The way of a dedicated worker.

    Args:
        settle: puts memory in order; see there.

    Attributes:
        due: there is something to do for `idle`.
    """

    due = False

    def __init__(self, settle: Callable[[], object] = settle) -> None:
        self._settle = settle

    def resident_bytes(self) -> int:
        """What the process takes now."""
        return resident_bytes()

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Around the load of a model."""
        yield

    def loaded(self, footprint: int) -> None:
        """A model of so many bytes has come."""
        self._settle()

    def unloaded(self, footprint: int) -> None:
        """A model of so many bytes has gone."""
        self._settle()
        give_back()

    def idle(self) -> None:
        """Nobody asks for anything: there is time."""


class SharedUpkeep(Upkeep):
    """The way of a shared worker.

    Args:
        serving: held while a batch runs.
    """

    def __init__(self, serving: threading.Lock) -> None:
        super().__init__()
        self._serving = serving
        self._left = 0
        self._frozen = False

    def resident_bytes(self) -> int:
        """What the process takes between two batches; one that runs for long is not waited for."""
        held = self._serving.acquire(timeout=QUIET)
        try:
            return resident_bytes()
        finally:
            if held:
                self._serving.release()

    @contextmanager
    def loading(self) -> Iterator[None]:
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
            sys.setswitchinterval(before)

    def loaded(self, footprint: int) -> None:
        if footprint >= LARGE:
            gc.freeze()

    def unloaded(self, footprint: int) -> None:
        self.due = True
        self._left += footprint
        self._frozen = self._frozen or footprint >= LARGE
        if self._left >= TRIM:
            self._left = 0
            give_back()

    def idle(self) -> None:
        """Only what large models have left behind is among what was left out of collections."""
        if self._frozen:
            settle()
        else:
            gc.collect()
        give_back()
        self.due, self._frozen, self._left = False, False, 0
