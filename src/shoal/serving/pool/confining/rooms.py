"""Folders of workers: one each, its home and its temporary files, gone with it.

They are below one folder of the node's; what a node that was killed has left behind goes when the next one starts.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from shoal.core.scratch import Scratch

PREFIX = "shoal-workers-"
ENTERED = 0o711
"""A worker with a user of its own goes through the node's folder to its own, and sees nothing else in there."""


class Rooms:
    """See the module. It makes the node's folder when the first worker needs one.

    Args:
        root: where the node's folder is made; None: where temporary files go.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self._home: Scratch | None = None

    def make(self, user: int | None) -> Path:
        """A new folder.

        Args:
            user: whom it belongs to; None: who runs the node.

        Raises:
            OSError: none can be made.
        """
        if self._home is None:
            self._home = Scratch(PREFIX, root=self._root, mode=ENTERED)
        room = Path(tempfile.mkdtemp(prefix="", dir=self._home.path))
        if user is not None:
            os.chown(room, user, user)
        return room

    def close(self) -> None:
        """Remove all of them."""
        if self._home is not None:
            self._home.close()
            self._home = None
