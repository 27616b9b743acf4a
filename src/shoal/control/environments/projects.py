"""What of a project's folder goes into a bundle, and `shoal-build.yaml`, which may say more.

    requirements: requirements.lock     the lock; by default requirements.lock, else requirements.txt
    include: [../shared]                code from elsewhere, put beside the project's own by its last name
    python: "3.11"                      refuse to build with another
    base_image: python:3.11-slim@sha256:...

Code is text (`.py`, `.yaml`, ...) of at most 1 MiB that is no model; all else of a project is its model, and stays out
unless asked for. Hidden files, caches and virtual environments are passed over. No link may lead out of the folder in
which it lies.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shoal.control.environments.locks import MAX_BYTES, Lock, parse_lock
from shoal.core.errors import ConfigError
from shoal.core.formats import is_model
from shoal.core.settings import documents
from shoal.core.settings.complaints import complain, gather
from shoal.core.settings.documents import Document

BUILD_FILE = "shoal-build.yaml"
MODEL_FILE = "model.yaml"
LOCK_NAMES = ("requirements.lock", "requirements.txt")
RESULTS = "dist"
"""The folder of a project where results are written, unless another is named."""
CODE_SUFFIXES = frozenset({
    ".py", ".pyi", ".yaml", ".yml", ".toml", ".json", ".cfg", ".ini", ".txt", ".lock", ".md", ".rst", ".proto", ".sql",
    ".html", ".css",
})  # fmt: skip
MAX_CODE_BYTES = 1024 * 1024
MAX_FILES = 10_000
_PINNED_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:-]{0,254}@sha256:[0-9a-f]{64}\Z")
_NAME = re.compile(r"[^a-z0-9._-]+")


class BuildFile(BaseModel):
    """The fields of `shoal-build.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requirements: str | None = Field(None, description="The requirements lock, relative to the project's folder.")
    include: tuple[str, ...] = Field((), max_length=100, description="More code, such as a module that projects share.")
    python: str | None = Field(None, pattern=r"^3\.\d{1,2}$", description="The Python that the project is for.")
    base_image: str | None = Field(None, description="What the image starts from, with its digest.")


@dataclass(frozen=True, slots=True)
class Project:
    """A project's folder, looked through.

    Attributes:
        name: of the folder, in small letters.
        settings: what its `shoal-build.yaml` says.
        lock: its requirements.
        code: files that go into each bundle, by their path there.
        model: the other files, weights above all.
    """

    name: str
    settings: BuildFile
    lock: Lock
    code: dict[str, Path] = field(default_factory=dict)
    model: dict[str, Path] = field(default_factory=dict)


def read_project(folder: Path, *, passed_over: Path | None = None) -> Project:
    """Look through a project; `passed_over` is where results are written.

    Raises:
        ConfigError: a settings file or the lock is wrong, or files cannot be put together.
    """
    root = folder.resolve()
    if not root.is_dir():
        raise ConfigError(f"{folder} is no folder", hint="name the project's folder")
    document, settings = _settings(root)
    lock_file = _lock_file(root, settings, document)
    project = Project(_NAME.sub("-", root.name.lower()) or "project", settings, _lock(lock_file))
    weights = _weights(root)
    for path in _files(root, {root / RESULTS, passed_over}):
        is_code = _is_code(path) and not any(path == each or each in path.parents for each in weights)
        (project.code if is_code else project.model)[path.relative_to(root).as_posix()] = path
    for number, each in enumerate(settings.include):
        _include(project, root, each, number, document)
    return project


def _settings(root: Path) -> tuple[Document, BuildFile]:
    file = root / BUILD_FILE
    document = documents.read(_text(file), BUILD_FILE) if file.is_file() else Document()
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise ConfigError(f"{BUILD_FILE}:1: it must hold fields, such as `include: [../shared]`")
    try:
        settings = BuildFile.model_validate(value)
    except ValidationError as error:
        raise complain(error, BuildFile, document, BUILD_FILE) from None
    if settings.base_image is not None and not _PINNED_IMAGE.match(settings.base_image):
        told = f"must end in @sha256: and a digest, it is {settings.base_image[:80]!r}: a tag may move"
        raise gather(document, BUILD_FILE, [(("base_image",), told)])
    return document, settings


def _lock_file(root: Path, settings: BuildFile, document: Document) -> Path:
    if settings.requirements is not None:
        file = root / settings.requirements
        if not file.is_file():
            raise gather(document, BUILD_FILE, [(("requirements",), f"there is no {settings.requirements!r}")])
        return file
    for name in LOCK_NAMES:
        if (root / name).is_file():
            return root / name
    hint = (
        f"`pip freeze > {root.name}/{LOCK_NAMES[0]}`, or `pip-compile --generate-hashes`; an empty file needs nothing"
    )
    raise ConfigError(f"{root.name} has no {LOCK_NAMES[0]}", hint=hint)


def _lock(file: Path) -> Lock:
    if file.stat().st_size > MAX_BYTES:
        raise ConfigError(f"{file.name} has more than {MAX_BYTES} bytes")
    return parse_lock(_text(file), file.name)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file.name} cannot be read as text: {error}") from error


def _weights(root: Path) -> list[Path]:
    """What `model.yaml` names as the artifact, if that is a part of the folder."""
    file = root / MODEL_FILE
    value = documents.read(_text(file), MODEL_FILE).value if file.is_file() else None
    named = value.get("path") if isinstance(value, dict) else None
    path = (root / named).resolve() if isinstance(named, str) else root
    return [] if path == root or path.suffix == ".py" else [path]


def _include(project: Project, root: Path, given: str, number: int, document: Document) -> None:
    source = (root / given).resolve()
    where = ("include", number)
    if Path(given).is_absolute() or not source.exists():
        told = "must be relative to the project's folder" if Path(given).is_absolute() else f"there is no {given!r}"
        raise gather(document, BUILD_FILE, [(where, told)])
    for path in [source] if source.is_file() else _files(source):
        name = source.name if source.is_file() else f"{source.name}/{path.relative_to(source).as_posix()}"
        if name in project.code or name in project.model:
            raise gather(document, BUILD_FILE, [(where, f"{name} is in the project already")])
        if _is_code(path):
            project.code[name] = path


def _files(root: Path, passed_over: Collection[Path | None] = ()) -> Iterator[Path]:
    count = 0
    for parent, names, files in os.walk(root):
        names[:] = sorted(each for each in names if _is_wanted(Path(parent, each), passed_over))
        for name in sorted(each for each in files if not each.startswith(".") and not each.endswith(".pyc")):
            path = Path(parent, name)
            _refuse_escape(path, root)
            count += 1
            if count > MAX_FILES:
                raise ConfigError(f"{root.name} has more than {MAX_FILES} files", hint="build a smaller folder")
            yield path


def _is_wanted(folder: Path, passed_over: Collection[Path | None]) -> bool:
    hidden = folder.name.startswith(".") or folder.name == "__pycache__"
    return not (hidden or folder in passed_over or folder.is_symlink() or (folder / "pyvenv.cfg").is_file())


def _refuse_escape(path: Path, root: Path) -> None:
    target = path.resolve()
    if not target.is_file() or root not in target.parents:
        raise ConfigError(f"{path} is no file of {root.name}, or a link that leads out of it", hint="copy the file")


def _is_code(path: Path) -> bool:
    if path.suffix not in CODE_SUFFIXES or path.stat().st_size > MAX_CODE_BYTES:
        return False
    return path.suffix == ".py" or not is_model(path)
