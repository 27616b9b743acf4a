"""The folder of one control: whose it is now, and where its control answers.

    control.lock   held by the process that uses the home, as long as it lives; its content says who that is
    node.key       see `home_key`
    control.json   where a control that others may use answers: {"url", "pid"}
    tmp/           uploads and archives in the making; emptied at start

The lock is the kernel's: it goes with its holder, in whatever way that ends, and is not inherited by children.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import msgspec

from shoal.core.clock import Clock, monotonic
from shoal.core.errors import ConfigError, Conflict, ShoalError, StorageFull

POLL_SECONDS = 0.05


class Holder(msgspec.Struct, frozen=True):
    """Who uses a home; `url` is "" for a command that serves only itself."""

    pid: int
    url: str = ""


class Home:
    """A home in use by this process, from `acquire` or the start of the `with` block to its end.

    Args:
        folder: made if it is not there, for its owner alone.
        wait_seconds: how long to wait for another process to be done with it.
        clock, sleep: for the waiting.
    """

    def __init__(
        self,
        folder: Path,
        *,
        wait_seconds: float = 0.0,
        clock: Clock = monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.folder = folder
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._sleep = sleep
        self._descriptor = -1

    def __enter__(self) -> Home:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self.folder / "control.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        try:
            self._lock()
            self._say(Holder(os.getpid()))
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.withdraw()
        self._let_go()

    def announce(self, url: str) -> None:
        """Let commands on this machine find the control that answers at `url`."""
        holder = Holder(os.getpid(), url)
        self._say(holder)
        staged = self.folder / "control.json.new"
        try:
            staged.write_bytes(msgspec.json.encode(holder))
            staged.replace(self.folder / "control.json")
        except OSError as error:
            raise _unusable(self.folder, error) from error

    def withdraw(self) -> None:
        """Nobody is to find it any more."""
        (self.folder / "control.json").unlink(missing_ok=True)

    def _lock(self) -> None:
        deadline = self._clock() + self._wait_seconds
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._clock() >= deadline:
                    raise _in_use(self.folder, self._descriptor) from None
            self._sleep(POLL_SECONDS)

    def _say(self, holder: Holder) -> None:
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, msgspec.json.encode(holder), 0)

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def found(folder: Path) -> str:
    """The URL that a control of this home has announced, or ""; whether it answers is another question."""
    try:
        return msgspec.json.decode((folder / "control.json").read_bytes(), type=Holder).url
    except (OSError, msgspec.DecodeError):
        return ""


def _in_use(folder: Path, descriptor: int) -> Conflict:
    try:
        holder = msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    except msgspec.DecodeError:
        holder = Holder(0)
    who = f"process {holder.pid}" if holder.pid else "another process"
    where = f", which answers at {holder.url}" if holder.url else ""
    hint = f"use that one with --control {holder.url}" if holder.url else "wait until it is done"
    return Conflict(f"{folder} is in use by {who}{where}", hint=f"{hint}, or take another home with --home")


def _unusable(folder: Path, error: OSError) -> ShoalError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"there is no room in {folder}", hint="make room there")
    return ConfigError(f"{folder} cannot be the home of a control: {error.strerror}", hint="choose another with --home")
