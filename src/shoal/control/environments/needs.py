"""What Shoal itself needs, in a worker and in a node, at the versions that run here.

A worker's environment gets what `python -m shoal.serving.worker` imports and the lock does not name; it is copied from
this node's own environment, so that both ends of a worker's socket run the same versions, and no index is asked. What
the lock names comes from the lock; whether Shoal can live with it is told by pip at the end.
"""

from __future__ import annotations

import platform
import re
import shutil
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from shoal.control.environments.locks import Target, normal_name
from shoal.control.environments.package import package_digest
from shoal.core.errors import ConfigError
from shoal.core.version import __version__

WORKER = ("msgspec", "numpy", "protobuf", "pysimdjson")
"""The distributions that a worker imports, whatever its model; frameworks come from the lock."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def this_target() -> Target:
    """What environments are made for on this machine, by this node."""
    python = f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}"
    machine = f"{sysconfig.get_platform()}-{'-'.join(filter(None, platform.libc_ver()))}"
    shoal = f"{__version__}+sha256.{package_digest()}"
    return Target(python=python, platform=machine, shoal=shoal, needs=worker_needs())


def worker_needs() -> tuple[str, ...]:
    """``name==version`` of what a worker needs, as installed here."""
    return tuple(_pin(name) for name in WORKER)


def node_needs() -> tuple[str, ...]:
    """``name==version`` of all that `shoal serve` needs, down to the last dependency, as installed here."""
    found: set[str] = set()
    waiting = [_name(each) for each in node_requirements()]
    while waiting:
        name = waiting.pop()
        if name not in found and _installed(name):
            found.add(name)
            waiting += [_name(each) for each in _requires(name)]
    return tuple(sorted(map(_pin, found)))


def node_requirements() -> list[str]:
    """The ranges that Shoal can live with, as its own metadata says them."""
    return sorted(_requires("shoal"))


def worker_requirements() -> list[str]:
    """The same, as far as a worker is concerned."""
    return [each for each in node_requirements() if _name(each) in WORKER]


def copy_distribution(name: str, target: Path) -> None:
    """Copy an installed distribution into another environment's site-packages, with its compiled files, which stay
    good as the times of their sources are kept.

    Raises:
        ConfigError: it is not known which files belong to it.
    """
    files = [each for each in _distribution(name).files or () if ".." not in each.parts]
    if not any(each.name == "RECORD" for each in files):
        hint = f"add {_pin(name)} to the lock, or install Shoal with pip"
        raise ConfigError(f"{name} is installed here without a list of its files: it cannot be copied", hint=hint)
    for each in files:
        source, goal = Path(str(each.locate())), target / each
        if source.is_file():
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, goal)


def present(site_packages: Path) -> set[str]:
    """The normal names of the distributions in a folder."""
    return {normal_name(each.name) for each in metadata.distributions(path=[str(site_packages)])}


def _requires(name: str) -> list[str]:
    """What a distribution always requires. What is not installed here is for other machines."""
    return [each for each in _distribution(name).requires or () if "extra" not in each.partition(";")[2]]


def _installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _distribution(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        raise ConfigError(f"{name} is not installed beside Shoal", hint="install Shoal with pip") from error


def _pin(name: str) -> str:
    return f"{name}=={_distribution(name).version}"


def _name(requirement: str) -> str:
    found = _NAME.match(requirement)
    return normal_name(found[0]) if found else ""
