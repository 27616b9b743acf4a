"""The service files of a folder: `*.yaml` and `*.yml` in it and in the folders directly below.

What is wrong with a file is a problem beside the services of the others. Files that have not changed are not read
again, unless they were changed so lately that their time would not show it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from shoal.core.errors import ShoalError
from shoal.core.registry import DEFAULT_NAMESPACE
from shoal.core.service import Service
from shoal.core.settings.services import LoadedServices, load_service_file

SUFFIXES = (".yaml", ".yml")
NOT_SERVICES = ("model.yaml", "shoal.yaml")
MAX_FILES = 10_000
SETTLED_SECONDS = 2.0
"""How long ago a file must have been changed for its time to tell it from what it becomes next."""

Key = tuple[str, str, str]
"""Namespace, name and environment of a service."""
Stamp = tuple[tuple[str, int, int, int], ...]
"""Path, time of change (ns), size and inode of each file that services are made of."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What a folder says.

    Attributes:
        files: the services of each file that is right.
        problems: what is wrong with each of the others.
        readable: whether the folder could be listed; if not, nothing is known of what is in it.
    """

    files: dict[str, dict[Key, Service]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    readable: bool = True

    @property
    def services(self) -> dict[Key, Service]:
        """All services."""
        return {key: service for each in self.files.values() for key, service in each.items()}


class Folder:
    """A folder of service files.

    Args:
        path: the folder.
        namespace: of services whose file does not say it.
        clock: Unix seconds, as the file system has them.
    """

    def __init__(
        self, path: Path, *, namespace: str = DEFAULT_NAMESPACE, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = path
        self._namespace = namespace
        self._clock = clock
        self._known: dict[Path, tuple[Stamp, LoadedServices]] = {}

    def scan(self) -> Scan:
        """What it says now."""
        try:
            files = sorted(_files(self._path))[: MAX_FILES + 1]
        except OSError as error:
            return Scan(problems={str(self._path): f"cannot be read: {error.strerror}"}, readable=False)
        if len(files) > MAX_FILES:
            return Scan(problems={str(self._path): f"has more than {MAX_FILES} service files"}, readable=False)
        self._known = {file: self._known[file] for file in files if file in self._known}
        found, problems = {}, {}
        for file in files:
            name = str(file.relative_to(self._path))
            try:
                services = self._load(file).services.values()
                found[name] = {(each.namespace, each.name, each.environment): each for each in services}
            except ShoalError as error:
                problems[name] = str(error)
        return _without_clashes(found, problems)

    def _load(self, file: Path) -> LoadedServices:
        known = self._known.get(file)
        if known and known[0] == _stamp(known[1].reads):
            return known[1]
        self._known.pop(file, None)
        begun = self._clock()
        loaded = load_service_file(file, namespace=self._namespace)
        stamp = _stamp(loaded.reads)
        if all(changed < (begun - SETTLED_SECONDS) * 1e9 for _, changed, _, _ in stamp):
            self._known[file] = (stamp, loaded)
        return loaded


def _files(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        inner = [each for each in entry.iterdir() if not each.name.startswith(".")] if entry.is_dir() else [entry]
        yield from (each for each in inner if _may_be_service(each))


def _may_be_service(file: Path) -> bool:
    return file.suffix in SUFFIXES and file.name not in NOT_SERVICES and file.is_file()


def _stamp(files: tuple[Path, ...]) -> Stamp:
    """What tells whether files have changed; one that is gone is as good as changed."""
    stamp = []
    for file in files:
        try:
            status = file.stat()
            stamp.append((str(file), status.st_mtime_ns, status.st_size, status.st_ino))
        except OSError:
            stamp.append((str(file), 0, -1, 0))
    return tuple(stamp)


def _without_clashes(files: dict[str, dict[Key, Service]], problems: dict[str, str]) -> Scan:
    """Files that describe the same service are all wrong: nobody can tell which is meant."""
    owners: dict[Key, list[str]] = {}
    for name, services in files.items():
        for key in services:
            owners.setdefault(key, []).append(name)
    for key, names in owners.items():
        for name in names if len(names) > 1 else ():
            others = ", ".join(each for each in names if each != name)
            problems.setdefault(name, f"{files[name][key].address} is described in {others} too: keep one of them")
    return Scan({name: services for name, services in files.items() if name not in problems}, problems)
