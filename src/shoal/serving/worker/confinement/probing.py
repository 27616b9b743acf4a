"""Which means of confinement this machine has, found out without giving anything up."""

from __future__ import annotations

import os

from shoal.serving.worker.confinement import kernel, landlock, seccomp

SIGNALS_SINCE = 6
"""The first version of Landlock that restricts signals."""


def lacking() -> dict[str, str]:
    """What workers started by this user on this machine would do without, and why."""
    version = landlock.version()
    found: dict[str, str] = {}
    if not version:
        found["files"] = found["signals"] = "no Landlock: Linux 5.13 has it, 6.12 all of it, if it is not forbidden"
    elif version < SIGNALS_SINCE:
        found["signals"] = f"Landlock {version}: Linux 6.12 has version {SIGNALS_SINCE}"
    if not seccomp.available():
        found["system_calls"] = found["network"] = f"no seccomp filter on {kernel.MACHINE}"
    if os.geteuid() != 0:
        found["own_user"] = found["namespaces"] = "only a node started as root has it"
    return found
