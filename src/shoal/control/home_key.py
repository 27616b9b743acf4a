"""The key that nodes of the same home show to its control, so that keys need no thought on one machine.

    node.key   made by the first control of the home, readable by its owner alone

Whoever may read it may read the registry beside it. Nodes elsewhere have keys of their own (`shoal keys create
--role node --namespace '*'`).
"""

from __future__ import annotations

import os
from pathlib import Path

from shoal.core import keys
from shoal.core.errors import ConfigError
from shoal.core.settings.secret_files import read_secret

NAME = "node.key"


def node_key(folder: Path) -> str:
    """The key of a home, made if there is none; called by whoever holds the home's lock.

    Raises:
        ConfigError: it cannot be read or made, or others can read it.
    """
    path = folder / NAME
    text = found_key(folder)
    if text:
        try:
            keys.parse(text)
        except ValueError as error:
            raise ConfigError(f"{path} holds no key", hint="remove it: a new one is made at the next start") from error
        return text
    text, staged = keys.generate().text, path.with_suffix(".new")
    try:
        staged.unlink(missing_ok=True)
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
        staged.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="check the home of control") from error
    return text


def found_key(folder: Path) -> str:
    """The key of a home, "" if there is none yet.

    Raises:
        ConfigError: it cannot be read, or others can read it.
    """
    path = folder / NAME
    return read_secret(path) if path.exists() else ""
