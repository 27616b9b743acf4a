"""The models in folders: `shoal serve DIR`.

    DIR/iris.joblib            the model iris
    DIR/wine/                  the model wine: a model.yaml, or just the files
    DIR/cars/1/, DIR/cars/2/   its versions; a DIR/cars/model.yaml holds for all that have none of their own

A path that is a model itself (a file, or a folder with a `model.yaml` or a format of its own) is that one model.
`scan` never loads or imports anything, and a model that is wrong is a `Problem` beside the others. Links may not lead
out of the folder that was given. Files that are no models (notes, data, hidden files) are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from shoal.core.errors import ConfigError, ShoalError
from shoal.core.formats import SUFFIXES, is_model, recognise, require_trust
from shoal.core.model import ModelSpec
from shoal.core.settings import load_model_file, load_model_settings
from shoal.core.settings.foreign import FILE_NAME as FOREIGN_FILE
from shoal.core.settings.schema import check_name

MODEL_FILE = "model.yaml"
MAX_FILES = 10_000
"""Files of one model that are looked at."""

_MODEL_SUFFIXES = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}
_OWN_FORMATS = ("MLmodel", "model.py", "saved_model.pb", "config.json", MODEL_FILE, FOREIGN_FILE)
_NOT_MODELS = ("__init__.py", "conftest.py", "setup.py")
_MAYBE = (".json", ".txt")
"""Suffixes of model files that are more often something else: passed over unless they are models."""

Key = tuple[str, str]
"""Name and version."""
Stamp = frozenset[tuple[str, int, int]]
"""Path, time of change (ns) and size of each file of a model."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A model that cannot be served as it is.

    Attributes:
        name: the name that it would have.
        path: where it is.
        error: why, with a hint.
    """

    name: str
    path: str
    error: ShoalError


class Scan(msgspec.Struct):
    """What was found.

    Attributes:
        specs: ordered by name and version.
        problems: what is wrong, in the order in which it was found.
        stamps: what tells whether the files of a model have changed.
    """

    specs: list[ModelSpec] = msgspec.field(default_factory=list)
    problems: list[Problem] = msgspec.field(default_factory=list)
    stamps: dict[Key, Stamp] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Found:
    """A model that may be there: where, below which root, and what it is called unless its settings say so."""

    path: Path
    root: Path
    name: str
    version: str = ""
    settings: Path | None = None


def scan(paths: Iterable[Path | str], trust: bool = False) -> Scan:
    """All models of some paths.

    Args:
        paths: files and folders; one that does not exist is a problem.
        trust: whether artifacts may run code when they are loaded.
    """
    result = Scan()
    for path in paths:
        for found in _walk(Path(path)):
            _add(result, found, trust)
    result.specs.sort(key=lambda spec: (spec.name, int(spec.version) if spec.version.isdecimal() else 0, spec.version))
    return result


def _add(result: Scan, found: _Found, trust: bool) -> None:
    try:
        stamp = _stamp(found)
        spec = _spec(found, trust)
        key = (spec.name, spec.version)
        if key in result.stamps:
            first = next(each.path for each in result.specs if (each.name, each.version) == key)
            raise ConfigError(f"there are two models of this name: {first} and {found.path}", hint="rename one of them")
    except ShoalError as error:
        result.problems.append(Problem(found.name, str(found.path), error))
    except OSError as error:
        reason = ConfigError(f"{found.path} cannot be read: {error.strerror}")
        result.problems.append(Problem(found.name, str(found.path), reason))
    else:
        result.specs.append(spec)
        result.stamps[key] = stamp


def _walk(path: Path) -> Iterator[_Found]:
    """The models that a given path may hold."""
    path = path.absolute()
    root = path if path.is_dir() else path.parent
    if path.name == MODEL_FILE:
        yield from _of_readable(root, root)
    elif not path.is_dir():
        yield _Found(path, root, path.stem)
    elif _is_one_model(path):
        yield from _of_readable(path, path)
    else:
        yield from _children(path)


def _children(root: Path) -> Iterator[_Found]:
    try:
        entries = sorted(root.iterdir())
    except OSError:
        yield _Found(root, root, root.name)
        return
    for entry in entries:
        if entry.name.startswith((".", "__")) or entry.name in _NOT_MODELS:
            continue
        if entry.is_dir():
            yield from _of_readable(entry, root)
        elif _may_be_model(entry):
            yield _Found(entry, root, entry.stem)


def _may_be_model(file: Path) -> bool:
    suffix = file.suffix.lower()
    return suffix in _MODEL_SUFFIXES and (suffix not in _MAYBE or is_model(file))


def _is_one_model(folder: Path) -> bool:
    """Whether a given folder is itself a model: by files that only a model's own folder has, or by versions alone."""
    if any((folder / name).is_file() for name in _OWN_FORMATS):
        return True
    try:
        entries = list(folder.iterdir())
    except OSError:
        return False
    visible = [each for each in entries if not each.name.startswith((".", "__"))]
    return bool(visible) and all(each.is_dir() and each.name.isdecimal() for each in visible)


def _of_readable(folder: Path, root: Path) -> list[_Found]:
    """As `_of_folder`; one that cannot be listed is found as a whole, so that its problem is told."""
    try:
        return list(_of_folder(folder, root))
    except (OSError, ConfigError):
        return [_Found(folder, root, folder.name)]


def _of_folder(folder: Path, root: Path) -> Iterator[_Found]:
    """The model of a folder, or its versions."""
    settings = folder / MODEL_FILE
    shared = settings if settings.is_file() else None
    versions = [each for each in folder.iterdir() if each.name.isdecimal() and each.is_dir()]
    if not versions or is_model(folder):
        yield _Found(folder, root, folder.name, settings=shared)
        return
    for version in sorted(versions, key=lambda each: int(each.name)):
        own = version / MODEL_FILE
        yield _Found(version, root, folder.name, version.name, own if own.is_file() else shared)


def _spec(found: _Found, trust: bool) -> ModelSpec:
    try:
        check_name(found.name)
    except ValueError as error:
        raise ConfigError(f"the name {found.name!r} {error}", field="name") from error
    return read_model(found.path, name=found.name, version=found.version, trust=trust, settings=found.settings)


def read_model(
    path: Path, *, name: str, version: str = "", trust: bool = False, settings: Path | None = None
) -> ModelSpec:
    """One model, as the files say; nothing is loaded.

    Args:
        path: the model's file or folder.
        name, version: what it is called unless its settings say so.
        trust: whether it may run code when it is loaded.
        settings: its `model.yaml`, if that lies elsewhere than in its folder.

    Raises:
        ConfigError: its settings are wrong, its format is not known, or it can carry code and is not trusted.
    """
    own = settings or (path / MODEL_FILE if (path / MODEL_FILE).is_file() else None)
    foreign = path / FOREIGN_FILE
    if own is not None:
        spec = load_model_file(own, folder=path, name=name, version=version, trust=trust)
    elif foreign.is_file():
        spec = load_model_settings(foreign, version=version, trust=trust)
    else:
        trusted: Literal["", "code"] = "code" if trust else ""
        spec = ModelSpec(name=name, version=version, path=str(path.resolve()), runtime=recognise(path), trust=trusted)
    require_trust(spec)
    return spec


def _stamp(found: _Found) -> Stamp:
    """The files of a model.

    Raises:
        ConfigError: a link leads out of the root, or there are too many files.
    """
    root = found.root.resolve()
    entries: set[tuple[str, int, int]] = set()
    for path in _files(found):
        if path.is_symlink() or path == found.path:
            target = path.resolve()
            if target != root and root not in target.parents:
                raise ConfigError(f"{path} is a link that leads out of {found.root}", hint="copy the files")
        if path.is_file():
            status = path.stat()
            entries.add((str(path), status.st_mtime_ns, status.st_size))
        if len(entries) > MAX_FILES:
            raise ConfigError(f"{found.path} has more than {MAX_FILES} files")
    return frozenset(entries)


def _files(found: _Found) -> Iterator[Path]:
    yield found.path
    if found.settings is not None:
        yield found.settings
    for folder, names, files in os.walk(found.path):
        names[:] = [name for name in names if not name.startswith((".", "__pycache__"))]
        yield from (Path(folder, name) for name in (*names, *files))
