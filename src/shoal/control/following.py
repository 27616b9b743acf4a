"""The folder of service files, followed by a thread of the control process: read at start, looked at every second."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from shoal.control.registry import Registry
from shoal.control.services.source import Source
from shoal.core.errors import ShoalError

logger = logging.getLogger(__name__)

EVERY_SECONDS = 1.0


class Following:
    """Follows a folder from the start of the `with` block to its end.

    Args:
        folder: of service files.
        registry: where the services go.
        changed: called after each change.
    """

    def __init__(self, folder: Path, registry: Registry, changed: Callable[[], None]) -> None:
        self._source = Source(folder, registry)
        self._changed = changed
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="service-files", daemon=True)

    @property
    def rejected(self) -> int:
        """Edits that were refused so far."""
        return self._source.rejected

    def __enter__(self) -> Following:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ending.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ending.wait(EVERY_SECONDS):
            try:
                self._look()
            except ShoalError as error:
                logger.warning("the service files cannot be followed now, trying again: %s", error)
            except Exception:
                logger.exception("the service files cannot be followed now, trying again")

    def _look(self) -> None:
        step = self._source.look()
        if step.puts or step.deletes:
            self._changed()
