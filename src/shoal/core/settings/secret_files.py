"""Secrets in files: read once, and only from a file that others on this machine cannot read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from shoal.core.errors import ConfigError

MAX_BYTES = 64 * 1024


def read_secret(path: Path, field: str = "") -> str:
    """The secret in a file, without the white space around it.

    Raises:
        ConfigError: it cannot be read, is empty, or everybody on this machine can read or change it.
    """
    try:
        descriptor = os.open(path.expanduser(), os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, encoding="utf-8") as file:
            mode = os.fstat(descriptor).st_mode
            text = file.read(MAX_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"{path} cannot be read: {reason}", field=field) from error
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        told = f"{path} holds a secret, and others on this machine can read or change it"
        raise ConfigError(told, hint=f"chmod 600 {path}", field=field)
    if not text:
        raise ConfigError(f"{path} is empty", hint="put the key there, and nothing else", field=field)
    return text
