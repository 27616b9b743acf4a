"""What a node that follows a registry keeps on this machine: a folder of its own, and where its files come from."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from shoal.control.artifacts.blobs import BlobSource
from shoal.core.errors import ConfigError
from shoal.core.settings.node import NodeSettings
from shoal.node.control import control_key


class Blobs:
    """The artifact store: the one that the settings name, else control, wherever it is now.

    Args:
        settings: of the process.
        control: where control answers.
    """

    def __init__(self, settings: NodeSettings, control: Callable[[], str]) -> None:
        self._settings = settings
        self._control = control
        self._store: BlobSource | None = None
        self._url = ""
        self._artifacts = settings.artifacts

    def open(self, sha256: str):  # type: ignore[no-untyped-def]
        return self._source().open(sha256)

    def _source(self) -> BlobSource:
        if self._artifacts:
            if self._store is None:
                from shoal.control.artifacts import open_store

                self._store = open_store(self._artifacts)
            return self._store
        if self._store is None or self._url != self._control():
            from shoal.control.artifacts.http_source import HttpSource

            self._url = self._control()
            key = control_key(self._settings)
            self._store = HttpSource(self._url, headers={"authorization": f"Bearer {key}"} if key else None)
        return self._store


def file_name(name: str) -> str:
    """A node's name as a folder's."""
    return "".join(each if each.isalnum() or each in "-_." else "_" for each in name).lstrip(".") or "node"


def lock(folder: Path, name: str) -> int:
    """Nobody else may use the folder while this is open.

    Raises:
        ConfigError: somebody does.
    """
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        hint = "give this one another name: --name, or SHOAL_NAME"
        raise ConfigError(f"a node {name!r} runs on this home already", hint=hint, field="name") from None
    return descriptor
