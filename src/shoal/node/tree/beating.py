"""A process of the tree shows the one above it that its loop turns: an empty line now and then."""

from __future__ import annotations

import asyncio
import os

BEAT_SECONDS = 1.0


class Beat:
    """Beats from now on, as long as somebody listens. Made inside a running event loop.

    Args:
        descriptor: where to; closed when nobody listens any more, or with the process.
        seconds: between two beats.
    """

    def __init__(self, descriptor: int, seconds: float = BEAT_SECONDS) -> None:
        self._descriptor = descriptor
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        os.set_blocking(descriptor, False)
        self._beat()

    def _beat(self) -> None:
        try:
            os.write(self._descriptor, b"\n")
        except BlockingIOError:
            pass  # it has not been read for long; there is enough to read
        except OSError:
            os.close(self._descriptor)
            return
        self._loop.call_later(self._seconds, self._beat)
