"""`build`: a project becomes a bundle, which is the same for the same files and lock, and a Dockerfile beside it.

The bundle holds wheels for the lock and for Shoal, so that an image or an environment can be made of it without a
network. Shoal's own dependencies come at the versions that run here, unless the lock names them.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from email.parser import BytesHeaderParser
from pathlib import Path

import msgspec

from shoal.control.environments import bundles, needs, package, pip
from shoal.control.environments.dockerfile import dockerfile
from shoal.control.environments.locks import Lock, Pin, normal_name
from shoal.control.environments.pip import Progress
from shoal.control.environments.projects import BUILD_FILE, Project, read_project
from shoal.core.errors import ConfigError


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """What was built.

    Attributes:
        name: the project's.
        digest: ``sha256:...`` of the bundle: what a deployed unit refers to.
        bundle, dockerfile: paths of the two files.
        bytes: of the bundle.
        wheels: ``name==version`` of all that it installs.
        with_model: whether the weights are in it.
    """

    name: str
    digest: str
    bundle: str
    dockerfile: str
    bytes: int
    wheels: tuple[str, ...]
    with_model: bool


def build(project: Path, out: Path, *, with_model: bool = False, progress: Progress | None = None) -> Build:
    """Build a project's bundle and Dockerfile into the folder `out`.

    Raises:
        ConfigError: a file of the project is wrong, or a requirement cannot be had as a wheel.
        Unavailable: the package index cannot be reached.
        StorageFull: there is no room.
    """
    tell = progress or _untold
    out = out.resolve()
    found = read_project(project, passed_over=out)
    _require_python(found)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".wheels-", dir=out) as folder:
        lock = _wheels(found.lock, Path(folder), tell)
        tell("writing the bundle")
        return _write(found, lock, Path(folder), out, with_model=with_model)


def _require_python(project: Project) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = project.settings.python
    if wanted not in (None, here):
        hint = f"run it with python{wanted} -m shoal build"
        raise ConfigError(f"{BUILD_FILE}: python: {wanted} is asked for, `shoal build` runs on {here}", hint=hint)


def _wheels(lock: Lock, folder: Path, progress: Progress) -> Lock:
    """Bring together all wheels; a lock that names each with its hash."""
    if lock.pins:
        progress(f"downloading {len(lock.pins)} requirements")
        file = folder / bundles.LOCK
        file.write_text(lock.text)
        hashes = ["--require-hashes"] if lock.hashed else []
        pip.download([*hashes, "--requirement", str(file)], folder, progress=progress)
        file.unlink()
    named = {_identity(each).name for each in folder.glob("*.whl")}
    own = [each for each in needs.node_needs() if normal_name(each.partition("==")[0]) not in named]
    if own:
        progress(f"downloading {len(own)} packages that Shoal needs")
        pip.download(own, folder, progress=progress)
    package.write_wheel(folder, needs.node_requirements(), command=True)
    return Lock(tuple(sorted(_identity(each) for each in folder.glob("*.whl"))))


def _identity(wheel: Path) -> Pin:
    """Name, version and hash of a wheel, as its own metadata says."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            inner = next(each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
            headers = BytesHeaderParser().parsebytes(archive.read(inner))
        name, version = str(headers["Name"]), str(headers["Version"])
    except (OSError, zipfile.BadZipFile, StopIteration) as error:
        raise ConfigError(f"{wheel.name} is no wheel: {error}", hint="look at what the package index holds") from error
    with wheel.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return Pin(normal_name(name), version, hashes=(f"sha256:{digest}",))


def _write(project: Project, lock: Lock, wheels: Path, out: Path, *, with_model: bool) -> Build:
    target = msgspec.structs.replace(needs.this_target(), needs=needs.node_needs())
    contents = bundles.Contents(
        name=project.name, target=target, requirements=project.lock.lines, with_model=with_model
    )
    staged = wheels / "bundle.tar"
    digest = bundles.write(staged, contents, _members(project, lock, wheels, with_model=with_model))
    bundle = out / f"{project.name}-{digest[:12]}.tar"
    staged.replace(bundle)
    file = out / "Dockerfile"
    file.write_text(
        dockerfile(
            name=project.name,
            bundle=bundle.name,
            digest=digest,
            python=target.python,
            platform=target.platform,
            shoal=target.shoal.partition("+")[0],
            with_model=with_model,
            base_image=project.settings.base_image or "",
        )
    )
    return Build(
        name=project.name,
        digest=f"sha256:{digest}",
        bundle=str(bundle),
        dockerfile=str(file),
        bytes=bundle.stat().st_size,
        wheels=tuple(each.requirement for each in lock.pins),
        with_model=with_model,
    )


def _members(project: Project, lock: Lock, wheels: Path, *, with_model: bool) -> Mapping[str, bundles.Content]:
    members: dict[str, bundles.Content] = {bundles.LOCK: lock.text.encode()}
    members |= {f"{bundles.WHEELS}/{each.name}": each for each in wheels.glob("*.whl")}
    members |= {f"{bundles.CODE}/{name}": path for name, path in project.code.items()}
    if with_model:
        both = {**project.code, **project.model}
        members |= {f"{bundles.MODEL}/{name}": path for name, path in both.items()}
    return members


def _untold(line: str) -> None:
    """Nobody wants to know."""
