"""What would make it unsafe to start: one list, which `shoal serve` and `shoal control` go by and `shoal doctor` shows.

    fail    starting is refused, with the sentence and the hint
    warn    it starts, and says so in its log

Looking costs a few calls of `stat`. What only shows when a port is opened is looked at there: TLS files in `core.tls`,
the home in `control.home`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from shoal.core.errors import ConfigError
from shoal.core.redaction import holds_secret

logger = logging.getLogger(__name__)


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        name: what it is about, in two words.
        status: see the module.
        found: a sentence.
        hint: what to do; "" where nothing is to be done.
        field: of the settings, or "".
    """

    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    hint: str = ""
    field: str = ""


def enforce(findings: Iterable[Finding]) -> None:
    """Go on only if nothing fails.

    Raises:
        ConfigError: the first that does.
    """
    for each in findings:
        if each.status == "fail":
            raise ConfigError(each.found, hint=each.hint, field=each.field)


def warn(findings: Iterable[Finding]) -> None:
    """Log what is merely risky."""
    for each in findings:
        if each.status == "warn":
            logger.warning("%s; %s", each.found, each.hint)


def settings_file(path: Path | None, values: Mapping[str, Any]) -> Finding:
    """A file with a password in it is for its owner's eyes, and those of its group."""
    name = "settings file"
    if path is None or not any(holds_secret(each) for each in values.values() if isinstance(each, str)):
        return Finding(name, "ok", "holds no password")
    if path.stat().st_mode & 0o007:
        told = f"{path} holds a password, and every user of this machine can read it"
        return Finding(name, "fail", told, f"chmod 600 {path}")
    return Finding(name, "ok", f"{path} holds a password, and is not for everybody")


def arguments(given: Mapping[str, object]) -> Finding:
    """A password on the command line is shown to every user by `ps`."""
    for name, value in given.items():
        if isinstance(value, str) and holds_secret(value):
            option = name.replace("_", "-")
            told = f"--{option} holds a password, which every user of this machine sees in the list of processes"
            hint = f"set it in a settings file of mode 600 (--config), or as SHOAL_CONTROL_{name.upper()}"
            return Finding("command line", "fail", told, hint, name)
    return Finding("command line", "ok", "holds no password")


def private_key(path: Path | None) -> Finding:
    """The key of TLS; see `core.tls`."""
    if path is None:
        return Finding("TLS key", "ok", "no TLS")
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return Finding("TLS key", "fail", f"{path} cannot be read: {error.strerror}", "check the path", "tls_key")
    if mode & 0o007:
        told = f"{path} can be used by every user of this machine"
        return Finding("TLS key", "fail", told, f"chmod 600 {path}", "tls_key")
    return Finding("TLS key", "ok", f"{path} is not for everybody")


def certificates(field: str, granted: bool, asked: bool) -> Finding:
    """Names in certificates grant something only where certificates are asked for and verified.

    Args:
        field: of the settings, that says what they grant.
        granted: whether it says anything.
        asked: whether there are authorities of clients.
    """
    if granted and not asked:
        told = f"{field} grants something to clients' certificates, and no client is asked for one"
        return Finding("client certificates", "fail", told, "name the authorities with tls_client_ca", field)
    return Finding("client certificates", "ok", "asked for" if asked else "not asked for")


def surroundings(folder: Path) -> list[Finding]:
    """Whose the home is, and who runs this."""
    return [home(folder), user()]


def home(folder: Path) -> Finding:
    """Who can write the home can change what is served; who can read it sees the registry."""
    try:
        found = folder.stat()
    except OSError:
        return Finding("home", "ok", f"{folder} will be made for its owner alone")
    if found.st_mode & 0o002:
        told = f"{folder} can be written by every user of this machine"
        return Finding("home", "fail", told, f"chmod 700 {folder}", "home")
    if found.st_uid not in (os.geteuid(), 0):
        told = f"{folder} belongs to another user, who can change what is served"
        return Finding("home", "warn", told, f"chown {os.geteuid()} {folder}, or take another with --home")
    if found.st_mode & 0o005:
        return Finding("home", "warn", f"{folder} can be read by every user of this machine", f"chmod 700 {folder}")
    return Finding("home", "ok", f"{folder} is its owner's alone")


def user() -> Finding:
    """Root need not serve models: a hole in anything would be a hole in everything."""
    if os.geteuid() != 0:
        return Finding("user", "ok", f"uid {os.geteuid()}")
    hint = "start it as a user of its own; see docs/security.md"
    return Finding("user", "warn", "this runs as root, with all rights of this machine", hint)
