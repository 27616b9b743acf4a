"""Makes the plan of each worker of a node, and hears what could not be applied.

A worker is told its plan through its standard input, so that it is in no list of processes and in no environment.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shoal.core.confinement import FOR_ROOT, MEANS, Plan, Rules, encode_plan
from shoal.serving.pool.confining.needs import Needs
from shoal.serving.pool.confining.rooms import Rooms
from shoal.serving.pool.confining.users import Users

logger = logging.getLogger(__name__)

FLAG = "--confined"
"""Has a worker read its plan, and apply it."""
MOST_BYTES = 60 * 1024
"""Of a plan: what a pipe holds, so that nobody waits for the worker to read it."""


@dataclass(slots=True)
class Cell:
    """What one worker is confined to.

    Attributes:
        plan: see there.
        standard_input: the descriptor that the worker reads its plan from; `close_input` once it has inherited it.
        told: called with what the worker could not apply, and why.
        give_back: called when its user is free again.
    """

    plan: Plan
    standard_input: int
    told: Callable[[Mapping[str, str]], None]
    give_back: Callable[[], None] = field(repr=False)

    def close_input(self) -> None:
        """The worker has been started, or could not be."""
        os.close(self.standard_input)

    def remove(self) -> None:
        """After the worker's end: delete what it has written. Takes as long as that is much."""
        shutil.rmtree(self.plan.folder, ignore_errors=True)
        self.give_back()


class Confiner:
    """See the module.

    Args:
        rules: of the node; their level is not ``off``.
        on_told: called with each means, and whether it could be applied, when the first worker tells of it.

    Attributes:
        missing: what workers could not apply, and why.
    """

    def __init__(self, rules: Rules, on_told: Callable[[str, bool], None] = lambda means, holds: None) -> None:
        self.rules = rules
        self.missing: dict[str, str] = {}
        self._on_told = on_told
        self._heard = False
        self._rooms = Rooms()
        root = os.geteuid() == 0 and rules.users is not None
        self._users = Users(*rules.users) if root and rules.users else None

    def cell(self, needs: Needs) -> Cell:
        """For a worker that is about to be started.

        Raises:
            OSError: it cannot have a folder.
        """
        user = self._user()
        folder = self._room(user)
        plan = self._plan(needs, folder, user)

        def give_back() -> None:
            if user is not None and self._users is not None:
                self._users.give_back(user)

        try:
            return Cell(plan, _pipe(encode_plan(plan)), self.told, give_back)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            give_back()
            raise

    def _user(self) -> int | None:
        try:
            return None if self._users is None else self._users.take()
        except OSError as error:
            logger.warning("workers have no users of their own: %s", error)
            self._users = None
            return None

    def _room(self, user: int | None) -> Path:
        try:
            return self._rooms.make(user)
        except OSError:
            if user is not None and self._users is not None:
                self._users.give_back(user)
            raise

    def _plan(self, needs: Needs, folder: Path, user: int | None) -> Plan:
        rules = self.rules
        return Plan(
            folder=str(folder),
            strict=rules.level == "strict",
            readable=(*needs.readable, *rules.readable),
            writable=rules.writable,
            network=rules.grants_network(needs.network),
            user=user,
            processes=rules.processes,
            open_files=rules.open_files,
            file_bytes=rules.file_bytes,
        )

    def told(self, missing: Mapping[str, str]) -> None:
        """A worker has started, without these; what was not known yet is logged, once."""
        new = {name: why for name, why in missing.items() if name not in self.missing}
        self.missing.update(new)
        if not self._heard:
            for name in MEANS:
                self._on_told(name, name not in missing)
        if new:
            for name in new:
                self._on_told(name, False)
            level = logging.WARNING if is_weaker(self.missing) else logging.INFO
            sentence = "; ".join(f"{name} ({why})" for name, why in sorted(new.items()))
            logger.log(level, "workers are confined without: %s", sentence)
        self._heard = True

    def explain(self) -> dict[str, object]:
        """Facts for `why`."""
        return {"level": self.rules.level, "missing": dict(self.missing), "weaker": is_weaker(self.missing)}

    def close(self) -> None:
        """Remove what workers have left behind; all of them have ended."""
        self._rooms.close()


def is_weaker(missing: Mapping[str, str]) -> bool:
    """Whether something is missing that nothing else makes up for.

    A worker that only opens the files that it is told, and sends no signals outside, needs no user of its own for that;
    and the right to read any file is none then.
    """
    if "files" in missing or "signals" in missing:
        return True
    return bool(missing.keys() - FOR_ROOT - {"capabilities"})


def _pipe(data: bytes) -> int:
    """The end to read of a pipe with this in it."""
    if len(data) > MOST_BYTES:
        raise OSError(f"a plan of {len(data)} bytes is too long: fewer paths can be readable")
    reader, writer = os.pipe()
    try:
        os.write(writer, data)
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return reader
