"""What a worker does to itself before it runs any code of a model, and in which order; for every program of a worker's.

    plan               from standard input, where the parent has put it
    settle             its own folder as home and for temporary files
    limits             files, core dumps
    namespaces         while root can
    rules of files     are made while all paths can be opened, and go by later
    user               and none of root's rights; the right to read any file stays if its model's are not readable
                       without, and then only the rules of files say which
    processes          counted for the new user
    no new privileges, no looking into its memory, rules of files, filter of system calls

Each step is tried by itself. What this machine does not have is returned, with the reason, and whoever started the
worker tells of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, MutableMapping

from shoal.core.confinement import NOT_CONFINED, REQUIRED, Plan, decode_plan
from shoal.serving.worker.confinement import files, kernel, landlock, limits, privileges, seccomp
from shoal.serving.worker.parent import die_with_parent

PIECE = 64 * 1024
KEPT_READING = "reads files whatever their modes: its model's, or Python's, are not readable for other users"


class Refused(Exception):
    """Level ``strict``: something required cannot be had."""


class Confinement:
    """Applies a plan to this process, step by step; `missing` is what could not be had, and why."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.missing: dict[str, str] = {}
        self._rules = -1
        self._version = landlock.version()
        self._own_user = False
        self._network_is_apart = False

    def apply(self) -> None:
        """All of it.

        Raises:
            Refused: see there.
        """
        plan = self._plan
        settle(plan.folder, os.environ)
        self._try("limits", lambda: limits.limit_files(plan))
        self._separate()
        self._make_rules()
        self._become()
        self._try("limits", lambda: limits.limit_processes(plan, alone=self._own_user))
        self._try("no_new_privileges", lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1))
        self._try("not_dumpable", lambda: kernel.prctl(kernel.PR_SET_DUMPABLE, 0))
        self._go_by_rules()
        self._filter()
        if plan.strict and (lacking := REQUIRED & self.missing.keys()):
            raise Refused("; ".join(f"{name}: {self.missing[name]}" for name in sorted(lacking)))

    def _try(self, means: str, step: Callable[[], object]) -> bool:
        try:
            step()
        except (OSError, ValueError) as error:
            self.missing[means] = getattr(error, "strerror", None) or str(error)
            return False
        return True

    def _separate(self) -> None:
        if os.geteuid() != 0:
            self.missing["namespaces"] = "the node was not started as root"
            return
        apart = self._try("namespaces", lambda: privileges.separate(network=self._plan.network))
        self._network_is_apart = apart and not self._plan.network

    def _make_rules(self) -> None:
        if not self._version:
            self.missing["files"] = self.missing["signals"] = "this kernel has no Landlock, or does not allow it"
            return
        handled = landlock.handled(self._version)
        if not handled.signals:
            self.missing["signals"] = "this kernel's Landlock does not restrict signals"
        allowed = files.allowed(self._plan, os.environ, sys.path)

        def make() -> None:
            self._rules = landlock.ruleset(handled, allowed, tcp=self._plan.network)

        self._try("files", make)

    def _become(self) -> None:
        user = self._plan.user
        if user is None:
            self.missing["own_user"] = "the node was not started as root, or is told to keep its user"
        elif self._try("own_user", lambda: privileges.become(user)):
            self._own_user = True
        keep = () if not self._own_user or self._reads() else (privileges.READ_ANY_FILE,)
        if self._try("capabilities", lambda: privileges.keep_only(keep)):
            if keep:
                self.missing["capabilities"] = KEPT_READING
        elif keep:
            self._try("capabilities", lambda: privileges.keep_only(()))

    def _reads(self) -> bool:
        return privileges.can_read((*self._plan.readable, os.__file__, kernel.__file__))

    def _go_by_rules(self) -> None:
        if self._rules >= 0:
            if not self._try("files", lambda: landlock.restrict(self._rules)):
                self.missing["signals"] = self.missing["files"]
            os.close(self._rules)

    def _filter(self) -> None:
        families = seccomp.NETWORK if self._plan.network else ()
        if not self._try("system_calls", lambda: seccomp.install(families)) and not self._network_is_apart:
            self.missing["network"] = self.missing["system_calls"]


def settle(folder: str, environment: MutableMapping[str, str]) -> None:
    """Have programs look for home and temporary files in the worker's own folder."""
    for name in ("HOME", "TMPDIR", "TEMP", "TMP"):
        environment[name] = folder
    for name in [each for each in environment if each.startswith("XDG_")]:
        del environment[name]


def confine(plan: Plan) -> dict[str, str]:
    """Apply a plan to this process; what could not be had, and why.

    Raises:
        Refused: see there.
    """
    confinement = Confinement(plan)
    confinement.apply()
    return confinement.missing


def confined_as_told() -> dict[str, str]:
    """Apply the plan that standard input holds; what could not be had, and why. Standard input is empty from then on.

    The process ends here if it must not run without what it could not have.
    """
    plan = decode_plan(_standard_input())
    try:
        missing = confine(plan)
    except Refused as error:
        sys.stderr.write(f"not started, as confinement is strict and cannot be had: {error}\n")
        sys.exit(NOT_CONFINED)
    die_with_parent()  # again: who changes user loses the wish
    return missing


def _standard_input() -> bytes:
    data = bytearray()
    while piece := os.read(0, PIECE):
        data += piece
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return bytes(data)
