"""The command that starts a worker with the interpreter that its model asks for. Pure.

An environment that was built for a service is what its lock says and nothing else: Python is started isolated there
(`-I`), so that neither `PYTHONPATH` nor the user's own site-packages nor the folder the node was started in can lay
another library over it. Isolation also passes over the other variables of the name `PYTHON...`; the two that workers
are given by default are said as options instead.
"""

from __future__ import annotations

import sys

MODULE = ("-m", "shoal.serving.worker")
APP_MODULE = ("-m", "shoal.serving.worker.app")
ISOLATED = ("-I", "-u", "-X", "faulthandler")


def worker_command(python: str = "") -> tuple[str, ...]:
    """Program and arguments of a worker; ``--fd N`` is added.

    Args:
        python: the interpreter of a built environment (`ModelSpec.python`); "" is the node's own.
    """
    return (*_interpreter(python), *MODULE)


def app_command(python: str = "") -> tuple[str, ...]:
    """The same of a full-custom app's process; ``--socket PATH --listening-fd N --folder PATH APP`` is added."""
    return (*_interpreter(python), *APP_MODULE)


def _interpreter(python: str) -> tuple[str, ...]:
    return (python, *ISOLATED) if python else (sys.executable,)
