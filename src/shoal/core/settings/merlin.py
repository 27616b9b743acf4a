"""Merlin's service file, for services that move here as they are.

It is told by its fields (`merlin_project`, `service_name`, `serving_layer`), validated as strictly as our own, and
translated to the fields of `service.yaml`, each still knowing its line. What has no meaning here, or another one, is a
note; nothing is passed over in silence.

    merlin_project              tag `merlin_project`, and the owner
    service_name                name
    serving_layer               tag; every service speaks the V2 protocol
    entrypoint                  a note: Shoal starts the workers itself
    num_replicas, cpu, memory, port, timeout        the same
    gpu.count, gpu.type         gpu, none if the count is 0
    env_vars                    variables
    auto_scaling                autoscaling
    artifacts, comet.models     artifacts; the first of comet.models is what the service answers with
    comet.environment           the environment
    comet.autodownload          autodownload

A workspace is a namespace. A version is a number of ours, or an alias such as ``0.1.0``; `stages` names one stage that
is followed in place of a version.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from shoal.core.registry import PRODUCTION
from shoal.core.settings import complaints
from shoal.core.settings.documents import Document, Path
from shoal.core.settings.merlin_schema import MerlinArtifact, MerlinFile, MerlinModel
from shoal.core.settings.overlays import Laid

MARKS = ("merlin_project", "service_name", "serving_layer")
_Mapped = Iterator[tuple[Path, Path, Any]]
"""Where a value goes, where it was written, and what it is."""


@dataclass(frozen=True, slots=True)
class Translated:
    """A Merlin file in our words."""

    environment: str
    laid: Laid
    notes: tuple[str, ...]


def recognise(value: Mapping[str, object]) -> bool:
    """Whether these are the fields of a Merlin file."""
    return any(mark in value for mark in MARKS)


def translate(document: Document, name: str) -> Translated:
    """The fields of `service.yaml` that a Merlin file stands for.

    Raises:
        ConfigError: each wrong field on a line of its own.
    """
    try:
        fields = MerlinFile.model_validate(document.value)
    except ValidationError as error:
        raise complaints.complain(error, MerlinFile, document, name) from None
    clashes = [
        ((*where, "stages"), f"are followed in place of a version, and version {each.version} is said")
        for where, each in _fetched(fields)
        if each.stages and each.version is not None
    ]
    if clashes:
        raise complaints.gather(document, name, clashes)
    return Translated(
        fields.comet.environment or PRODUCTION, _laid(fields, document), _notes_of(fields, document, name)
    )


def _laid(fields: MerlinFile, document: Document) -> Laid:
    laid = Laid()
    laid.document.value = {}
    for target, source, value in _mapped(fields, document):
        _put(laid.document.value, target, value)
        laid.origin[target] = source
        laid.document.line[target] = document.line.get(source, 1)
        if source in document.text:
            laid.document.text[target] = document.text[source]
    return laid


def _put(value: dict[str, Any], path: Path, leaf: Any) -> None:
    """Set a value deep within mappings and lists; lists are filled in their order."""
    current: Any = value
    for part, following in itertools.pairwise(path):
        empty: Any = [] if isinstance(following, int) else {}
        if isinstance(current, list) and len(current) == part:
            current.append(empty)
        elif isinstance(current, dict):
            current.setdefault(part, empty)
        current = current[part]
    current[path[-1]] = leaf


def _mapped(fields: MerlinFile, document: Document) -> _Mapped:
    raw = document.value
    for target, source in _SAME.items():
        if raw.get(source) is not None:
            yield (target,), (source,), raw[source]
    for tag in ("merlin_project", "serving_layer"):
        if raw.get(tag) is not None:
            yield ("tags", tag), (tag,), raw[tag]
    if fields.gpu and fields.gpu.count:
        yield from _renamed(raw, "gpu", "gpu", {"count": "count", "type": "type"})
    if fields.auto_scaling:
        yield from _renamed(raw, "auto_scaling", "autoscaling", _SCALING)
    if fields.comet.autodownload is not None:
        yield ("autodownload",), ("comet", "autodownload"), fields.comet.autodownload
    if fields.comet.models:
        yield from _model(fields.comet.models[0], ("comet", "models", 0), ())
    for number, (where, each) in enumerate(_fetched(fields)):
        yield from _model(each, where, ("artifacts", number))
        path = each.dest_path or each.name
        yield ("artifacts", number, "dest_path"), (*where, "dest_path"), path.strip("/")


_SAME = {
    "name": "service_name",
    "owner": "merlin_project",
    "replicas": "num_replicas",
    "cpu": "cpu",
    "memory": "memory",
    "port": "port",
    "timeout": "timeout",
    "variables": "env_vars",
}
_SCALING = {
    "min_pod_replicas": "min_replicas",
    "max_pod_replicas": "max_replicas",
    "gpu_utilization": "gpu_percent",
    "cpu_utilization": "cpu_percent",
}


def _renamed(raw: Mapping[str, Any], block: str, target: str, names: Mapping[str, str]) -> _Mapped:
    yield (target,), (block,), {}
    for theirs, ours in names.items():
        if raw[block].get(theirs) is not None:
            yield (target, ours), (block, theirs), raw[block][theirs]


def _fetched(fields: MerlinFile) -> Iterator[tuple[Path, MerlinModel | MerlinArtifact]]:
    """Everything that is fetched, and where it was written."""
    yield from ((("comet", "models", number), each) for number, each in enumerate(fields.comet.models))
    yield from ((("artifacts", number), each) for number, each in enumerate(fields.artifacts))


def _model(each: MerlinModel | MerlinArtifact, source: Path, target: Path) -> _Mapped:
    key = "model" if isinstance(each, MerlinModel) else "artifact"
    qualified = f"{each.workspace}/{each.name}" if each.workspace else each.name
    yield (*target, "model"), (*source, key), qualified
    if each.version is not None:
        word = "version" if each.version.isdecimal() or each.version == "latest" else "alias"
        yield (*target, word), (*source, "version"), each.version
    for stage in each.stages[:1]:
        yield (*target, "stage"), (*source, "stages"), stage


def _notes_of(fields: MerlinFile, document: Document, name: str) -> tuple[str, ...]:
    return tuple(
        f"{name}:{document.line.get(path, 1)}: {complaints.dotted(path)}: {text}" for path, text in _notes(fields)
    )


def _notes(fields: MerlinFile) -> Iterator[tuple[Path, str]]:
    if fields.merlin_project:
        yield ("merlin_project",), "is kept as the owner, and as the tag merlin_project"
    if fields.serving_layer:
        text = "is kept as a tag; every service here speaks the V2 protocol, so callers change only the address"
        yield ("serving_layer",), f"{fields.serving_layer} {text}"
    if fields.entrypoint:
        yield ("entrypoint",), "has no meaning here, because Shoal starts the workers of a model itself: it is not run"
    if fields.port is not None:
        yield ("port",), "is kept for the catalogue; callers use the node's port, which all services share"
    if fields.gpu and not fields.gpu.count:
        yield ("gpu",), "asks for no card: the service runs on processors"
    for first in fields.comet.models[:1]:
        yield ("comet", "models", 0), f"{first.name} is what the service answers with; the others are only fetched"
    for source, each in _fetched(fields):
        yield from _fetched_notes(source, each)


def _fetched_notes(source: Path, each: MerlinModel | MerlinArtifact) -> Iterator[tuple[Path, str]]:
    if each.workspace:
        yield (*source, "workspace"), f"is the namespace {each.workspace}"
    if each.version and not each.version.isdecimal() and each.version != "latest":
        yield (*source, "version"), f"{each.version} is looked up as an alias: register the version with it"
    if each.dest_path and each.dest_path.startswith("/"):
        yield (*source, "dest_path"), f"{each.dest_path} lies below the service's own folder"
