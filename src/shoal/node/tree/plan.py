"""Which processes a split node has, and how each is started: pure, but for the files with their settings.

Below the run folder, which only its owner can enter:

    NAME.json            the settings of a process: what is secret in them is in no argument and no variable
    proxies/NAME.sock    where a proxy listens for gateways
    proxies/NAME.apps/   where its full-custom apps listen
    metrics/NAME.sock    where a process tells its metrics
    loaded               there once every proxy has loaded what is to be there from the start
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoal.core.settings.node import PREFIX, NodeSettings
from shoal.core.settings.split import SOCKET

PROXIES, METRICS, LOADED = "proxies", "metrics", "loaded"


@dataclass(frozen=True, slots=True)
class Membership:
    """Which process of a tree this is.

    Attributes:
        folder: the run folder.
        name: such as ``proxy-1``.
    """

    folder: Path
    name: str

    @property
    def metrics(self) -> Path:
        """The socket on which it tells its metrics."""
        return self.folder / METRICS / f"{self.name}.sock"


@dataclass(frozen=True, slots=True)
class Member:
    """A process to be.

    Attributes:
        role: the command, ``gateway`` or ``proxy``.
        place: who it is.
        settings: its own.
        arguments: what its command is given besides: the paths that a proxy serves.
    """

    role: str
    place: Membership
    settings: NodeSettings
    arguments: Sequence[str] = ()

    @property
    def name(self) -> str:
        return self.place.name

    def command(self, ready: int) -> list[str]:
        """The command line; `ready` is the descriptor to tell readiness on."""
        level = logging.getLevelName(logging.getLogger().getEffectiveLevel()).lower()
        return [
            *(sys.executable, "-m", "shoal", self.role, *self.arguments),
            *("--config", str(self._settings_file), "--tree", str(self.place.folder), "--member", self.name),
            *("--ready-fd", str(ready), "--parent", str(os.getpid()), "--log-level", level),
        ]

    def write_settings(self) -> None:
        """Put its settings where it looks for them."""
        text = json.dumps(plain(self.settings.model_dump()))
        descriptor = os.open(self._settings_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)

    @property
    def _settings_file(self) -> Path:
        return self.place.folder / f"{self.name}.json"


def proxies(settings: NodeSettings, paths: Sequence[Path], folder: Path, port: int) -> list[Member]:
    """The proxies of a node; each is a node of its own to control, with its own state."""
    count = settings.proxies or 1
    room = {"memory": settings.memory and settings.memory // count, "waiting": max(1, settings.waiting // count)}
    own = settings.model_copy(update={**_ALONE, **room, "port": port})
    return [_proxy(own, paths, Membership(folder, name)) for name in proxy_names(settings)]


def proxy_names(settings: NodeSettings) -> list[str]:
    """What the proxies of a node are called."""
    return [f"proxy-{number}" for number in range(1, (settings.proxies or 1) + 1)]


def gateways(settings: NodeSettings, paths: Sequence[Path], folder: Path, port: int) -> list[Member]:
    """The gateways of a node, on one port."""
    what = "--files" if paths else "--registry"
    tenants = {name: each.part(settings.gateways or 1) for name, each in settings.tenants.items()}
    place = {"port": port, "reuse_port": True, "proxies_at": str(folder / PROXIES), "directory": None}
    own = settings.model_copy(update={**_ALONE, **place, "tenants": tenants})
    names = [f"gateway-{number}" for number in range(1, (settings.gateways or 1) + 1)]
    return [Member("gateway", Membership(folder, name), own, (what,)) for name in names]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process of the tree: without those that are settings, as it has them all from its file."""
    fields = NodeSettings.model_fields
    return {
        name: text
        for name, text in variables.items()
        if not name.startswith(PREFIX) or name.removeprefix(PREFIX).lower().split("__")[0] not in fields
    }


def plain(value: Any) -> Any:
    """Settings as values of JSON; secrets in full."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if hasattr(value, "get_secret_value"):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value


_ALONE = {"listen": None, "operations": None}
"""What no member is told: every proxy would take it for itself."""


def _proxy(settings: NodeSettings, paths: Sequence[Path], place: Membership) -> Member:
    socket = place.folder / PROXIES / f"{place.name}.sock"
    own = settings.model_copy(update={"name": f"{settings.name}-{place.name}", "listen": f"{SOCKET}{socket}"})
    return Member("proxy", place, own, [str(path.absolute()) for path in paths])
