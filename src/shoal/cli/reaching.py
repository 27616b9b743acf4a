"""How commands reach control: the one that is named, the one that this home has running, or one of their own.

A laptop needs no server: where no control answers, the command runs one on a free port for as long as it lasts, on the
same home, and says nothing about it.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from shoal.client.control import ControlClient

ControlUrl = Annotated[
    str | None,
    typer.Option("--control", envvar="SHOAL_CONTROL", help="Address of control; without it, the one of this home."),
]
HomeFolder = Annotated[
    Path | None, typer.Option("--home", envvar="SHOAL_HOME", help="Folder of control (default: ~/.shoal).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
NamespaceOption = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of the name.")]

LOOK_SECONDS = 2.0
KEY = "SHOAL_API_KEY"
KEY_FILE = "SHOAL_API_KEY_FILE"


@contextmanager
def connected(url: str | None, home: Path | None, *, trust: bool = False) -> Iterator[ControlClient]:
    """A client of control, until the end of the `with` block.

    Args:
        url: of a control, or None: whatever there is.
        home: whose control is looked for, and started if there is none.
        trust: whether a control of the command's own takes formats that can run code.
    """
    from shoal.client.control import ControlClient
    from shoal.core.settings.control import load_control_settings

    if url is not None:
        with ControlClient(url, actor=_user(), key=api_key()) as client:
            yield client
        return
    settings = load_control_settings(None, os.environ, {"home": home, "trust": trust or None})
    if known := _running(settings.folder):
        with ControlClient(known, actor=_user(), key=api_key()) as client:
            yield client
        return
    with needing_control():
        from shoal.control.main import control_for
    with control_for(settings) as (own, key), ControlClient(own, actor=_user(), key=key) as client:
        yield client


@contextmanager
def needing_control() -> Iterator[None]:
    """Imports of what only control needs, which the core installation does not have.

    Raises:
        ConfigError: a library is missing; the hint names the extra.
    """
    from shoal.core.errors import ConfigError

    try:
        yield
    except ModuleNotFoundError as error:
        hint = "pip install 'shoal[control]', or name a control that runs elsewhere with --control"
        raise ConfigError(f"a registry on this machine needs {error.name}", hint=hint) from error


def _running(folder: Path) -> str:
    """The URL of this home's control if it answers, or ""."""
    from shoal.client.control import ControlClient
    from shoal.client.retry import Retries
    from shoal.control.home import found
    from shoal.core.errors import ShoalError

    url = found(folder)
    if not url:
        return ""
    try:
        with ControlClient(url, timeout=LOOK_SECONDS, retries=Retries(attempts=0)) as client:
            client.ready()
    except ShoalError:
        return ""
    return url


def api_key() -> str:
    """The key to show: of the environment, or of the file that `shoal --key-file` or the environment names; "" if none.

    It is never an argument: those are seen by everybody on the machine.

    Raises:
        ConfigError: the file cannot be read, or others can read it.
    """
    from shoal.core.settings.secret_files import read_secret

    if key := os.environ.get(KEY, "").strip():
        return key
    named = os.environ.get(KEY_FILE)
    return read_secret(Path(named), "key_file") if named else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
