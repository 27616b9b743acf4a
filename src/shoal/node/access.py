"""Whom the data port lets in: the guard of a process, kept in step with a file of keys, or with control.

What control has told last is kept on disk, so that a node starts with control dead and lets in the same; until anything
is known, nobody is let in. The feed says when it has changed. Each process with a data port follows it by itself, so
that gateways need nobody for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from shoal.core.access import AccessTable
from shoal.core.errors import ShoalError, Unavailable
from shoal.core.routes import Feed
from shoal.core.settings.keys_file import read_keys
from shoal.core.settings.node import NodeSettings
from shoal.core.tasks import Tasks
from shoal.serving.gateway.guard.guard import Guard

if TYPE_CHECKING:
    from shoal.core.oidc.verifying import Verifier

logger = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks at a file, and between two tries of a control that does not answer."""
WAIT = 20.0
"""Seconds that one question for changes may wait at control."""
FIRST_ANSWER = 10.0
"""How long a start waits for control's first word."""


class Source(Protocol):
    """What is asked of control; see `asking.Asking`."""

    async def access(self) -> AccessTable: ...

    async def feed(self, after: int, wait: float) -> Feed: ...


class Access:
    """See the module.

    Args:
        settings: of the process.
        control: says whom to let in; None where no control is followed.
        every: seconds between two looks, or tries.

    Attributes:
        guard: for the application.
    """

    def __init__(self, settings: NodeSettings, control: Source | None, *, every: float = EVERY) -> None:
        auth = settings.auth
        self._every = every
        self._tasks = Tasks()
        self._known = asyncio.Event()
        self._there = asyncio.Event()
        self._told: bool | None = None
        self._table: AccessTable | None = None
        self._stamp: object = None
        self._file = None if auth.off or auth.keys_file is None else auth.keys_file.expanduser()
        self._control = None if auth.off or self._file else control
        self._kept = settings.folder / "access.json"
        self.guard = Guard(
            required=auth.required,
            waiting=self._control is not None,
            tokens=_tokens(settings),
            certificates={} if auth.off else auth.certified,
        )

    def start(self) -> None:
        """Let in whom is known, before the port is open; then follow what changes.

        Raises:
            ConfigError: the keys file cannot be used.
        """
        if self._file:
            self._stamp = _stamp(self._file)
            self._take(read_keys(self._file))
            self._tasks.start("follow keys file", self._follow_file(self._file))
        elif self._control:
            self._remember_last()
            self._tasks.start("follow access", self._follow_control(self._control))
        else:
            self._say()

    async def settled(self) -> None:
        """Return once it is known whom to let in, or control does not seem to say it; called when control is there."""
        self._there.set()
        if self._control and self._table is None:
            try:
                async with asyncio.timeout(FIRST_ANSWER):
                    await self._known.wait()
            except TimeoutError:
                logger.warning("control has not said whom to let in; what was known before counts")

    async def stop(self) -> None:
        """Follow no more; the guard stays as it is."""
        await self._tasks.close()

    async def _follow_file(self, path: Path) -> None:
        while True:
            await asyncio.sleep(self._every)
            stamp = await asyncio.to_thread(_stamp, path)
            if stamp == self._stamp:
                continue
            self._stamp = stamp
            try:
                self._take(await asyncio.to_thread(read_keys, path))
            except ShoalError as error:
                logger.error("%s; the keys that were read before go on", error)

    async def _follow_control(self, control: Source) -> None:
        told = ""
        while True:
            try:
                await self._follow_feed(control)
            except Unavailable:
                pass  # serving goes on with what was known; whoever follows the routes says so
            except ShoalError as error:
                if told != str(error):
                    logger.warning("control does not say whom to let in, what was known before counts: %s", error)
                told = str(error)
            except Exception:
                logger.exception("control was not understood; what was known before counts, and it is asked again")
            await self._pause()

    async def _pause(self) -> None:
        """Until it is worth another try; a control of our own is there later than we are."""
        if self._there.is_set():
            await asyncio.sleep(self._every)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._every):
                await self._there.wait()

    async def _follow_feed(self, control: Source) -> None:
        """Until control does not answer any more. The place in the feed comes first: no change falls between."""
        position = (await control.feed(-1, 0.0)).position
        await self._ask(control)
        while True:
            feed = await control.feed(position, WAIT)
            position = feed.position
            if feed.reset or any(change.kind == "access" for change in feed.changes):
                await self._ask(control)

    async def _ask(self, control: Source) -> None:
        table = await control.access()
        changed = table != self._table
        if changed:
            self._take(table)
        self._known.set()
        if changed:
            await asyncio.to_thread(_keep, self._kept, table)

    def _take(self, table: AccessTable) -> None:
        self._table = table
        self.guard.replace(table)
        self._say()

    def _remember_last(self) -> None:
        try:
            self._take(msgspec.json.decode(self._kept.read_bytes(), type=AccessTable))
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            logger.warning("nobody is let in until control answers: %s cannot be read: %s", self._kept, error)

    def _say(self) -> None:
        if self.guard.on == self._told:
            return
        self._told = self.guard.on
        if self.guard.on:
            logger.info("authentication is on: the data port asks for an API key or a token")
        else:
            logger.info("authentication is off: whoever reaches the data port may ask everything")


def _tokens(settings: NodeSettings) -> Verifier | None:
    if settings.auth.off or not settings.auth.issuers:
        return None
    from shoal.core.oidc.verifying import Verifier

    verifier = Verifier(each.value for each in settings.auth.issuers)
    verifier.start()
    return verifier


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode


def _keep(path: Path, table: AccessTable) -> None:
    """Write what control has told, whole or not at all; a full disk changes nothing for those who are let in."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(table))
        os.replace(name, path)
    except OSError as error:
        logger.warning("whom to let in cannot be kept in %s: %s", path, error)
