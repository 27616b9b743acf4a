"""A service of texts with two versions of its model, in a running control: put there over the API, as `shoal push`
and `shoal deploy` do, and changed while it is called.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable

from shoal.client.control import ControlClient
from shoal.core.registry import DEFAULT_NAMESPACE, PRODUCTION, FileEntry, Manifest, NewVersion
from shoal.core.service import Service

NAME = "oracle"
LIMIT = 120.0
"""Seconds that one change may take."""
POLL = 0.1
_CODE = "# version {}\nfrom shoal.testing.faults import OracleModel\n"
_SETTINGS = "runtime: python\nimplementation: model:OracleModel\n"


class TookTooLong(OSError):
    """A change was not seen in time; says where it stands."""


class Versions:
    """See the module."""

    def __init__(self, control: ControlClient) -> None:
        self._control = control

    def push(self, number: int) -> None:
        """Store the files of a version, and register it."""
        files = {"model.py": _CODE.format(number).encode(), "model.yaml": _SETTINGS.encode()}
        entries = {name: FileEntry(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()}
        for name, entry in entries.items():
            self._control.upload(entry.sha256, io.BytesIO(files[name]), entry.size)
        manifest = Manifest(tuple(entries.values()))
        self._control.register(
            NewVersion(model=NAME, version=number, manifest=manifest, runtime="python", trust="code")
        )

    def deploy(self, ref: str, replicas: int) -> None:
        """Serve a version, or what a stage points at, with workers of its own."""
        self._control.put_service(Service(name=NAME, model=NAME, ref=ref, replicas=replicas))

    def stage(self, number: int) -> None:
        """Point the stage at a version."""
        self._control.move_stage(DEFAULT_NAMESPACE, NAME, PRODUCTION, str(number))

    def scale(self, replicas: int) -> None:
        """Have so many workers."""
        self._control.scale(DEFAULT_NAMESPACE, NAME, PRODUCTION, replicas)

    def wait(self, *, version: int, workers: int) -> None:
        """Return when the node says that this version answers with so many workers.

        Raises:
            TookTooLong: it does not come to it.
        """
        self._until(lambda state: state == (str(version), workers, workers), f"version {version} x {workers}")

    def _until(self, done: Callable[[tuple[str, int, int]], bool], what: str) -> None:
        deadline, state = time.monotonic() + LIMIT, ("", 0, 0)
        while time.monotonic() < deadline:
            entry = self._control.service(DEFAULT_NAMESPACE, NAME, PRODUCTION)
            if entry.health:
                told = entry.health[0].status
                if done(state := (told.version, told.wanted, told.ready)):
                    return
            time.sleep(POLL)
        raise TookTooLong(f"{what} is awaited, and there is {state}")
