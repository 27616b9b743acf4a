"""From `service.yaml`, or a Merlin file, to a `Service` for each environment.

    text -> document -> one `Laid` document per environment -> validated fields -> `Service`

A Merlin file is translated on the way (`merlin`), so both kinds are checked by the same rules. Every problem of every
environment is told at once, at the line where it was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shoal.core.errors import ConfigError
from shoal.core.registry import DEFAULT_NAMESPACE, PRODUCTION, check_label
from shoal.core.service import Service
from shoal.core.settings import complaints, documents, merlin, service_checks
from shoal.core.settings.beside import beside, contents
from shoal.core.settings.documents import Document
from shoal.core.settings.overlays import OVERLAYS, Laid, lay
from shoal.core.settings.service_checks import Problem
from shoal.core.settings.service_schema import ServiceFields, ServiceFile
from shoal.core.settings.service_values import to_service

MAX_ENVIRONMENTS = 16
_IDENTITY = ("name", "namespace", OVERLAYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedServices:
    """What a file says.

    Attributes:
        services: by environment.
        notes: what its author should know: fields that have no meaning here, or another one; a sentence each.
        reads: all files that it is made of.
    """

    services: dict[str, Service]
    notes: tuple[str, ...] = ()
    reads: tuple[Path, ...] = ()


def load_service_file(path: Path, *, namespace: str = DEFAULT_NAMESPACE) -> LoadedServices:
    """The services of a file.

    Args:
        path: a `service.yaml`, or a Merlin file.
        namespace: whose they are, unless the file says so.

    Raises:
        ConfigError: each wrong field on a line of its own, with the file's name and the line's number.
    """
    return parse_service_text(contents(path), path.name, namespace=namespace, file=path)


def parse_service_text(
    text: str | bytes, name: str = "service.yaml", *, namespace: str = DEFAULT_NAMESPACE, file: Path | None = None
) -> LoadedServices:
    """The services of a text.

    Args:
        text: what the file holds.
        name: what errors call it.
        namespace: see `load_service_file`.
        file: where it lies, for the files beside it that it names; None: it may name none.

    Raises:
        ConfigError: see `load_service_file`.
    """
    document = documents.read(text, name)
    if not isinstance(document.value, dict):
        raise ConfigError(f"{name}:1: it must hold fields, such as `name: iris`")
    notes: tuple[str, ...] = ()
    if merlin.recognise(document.value):
        translated = merlin.translate(document, name)
        laid, notes = {translated.environment: translated.laid}, translated.notes
    else:
        laid = dict(_environments(document, name))
    making = _Making(document, name, namespace, file)
    services = {environment: making.service(environment, each) for environment, each in laid.items()}
    if making.problems:
        raise complaints.gather(document, name, making.problems)
    return LoadedServices(
        services={environment: each for environment, each in services.items() if each},
        notes=notes,
        reads=tuple(dict.fromkeys(making.reads)),
    )


def service_file_schema() -> dict[str, Any]:
    """The JSON Schema of `service.yaml`, for editors; an overlay's fields may all be null."""
    schema = ServiceFile.model_json_schema()
    properties = schema["properties"]
    first = ("name", "namespace")
    schema["properties"] = {name: properties[name] for name in first} | properties
    overlay = schema["$defs"]["ServiceFields"]["properties"]
    overlay |= {name: _nullable(each) for name, each in overlay.items()}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def _nullable(field: dict[str, Any]) -> dict[str, Any]:
    if {"type": "null"} in field.get("anyOf", ()):
        return field
    return {"anyOf": [field, {"type": "null"}], "description": field["description"]}


def _environments(document: Document, name: str) -> Iterator[tuple[str, Laid]]:
    """Each environment's fields.

    Raises:
        ConfigError: the block `environments` is wrong.
    """
    overlays = document.value.get(OVERLAYS)
    if problems := list(_overlay_problems(overlays)):
        raise complaints.gather(document, name, problems)
    for environment in overlays or (PRODUCTION,):
        yield environment, lay(document, environment, service_checks.EXCLUSIVE)


def _overlay_problems(overlays: object) -> Iterator[Problem]:
    if overlays is None:
        return
    if not isinstance(overlays, dict) or not 1 <= len(overlays) <= MAX_ENVIRONMENTS:
        yield (OVERLAYS,), f"must hold 1 to {MAX_ENVIRONMENTS} environments by name, such as `staging: {{replicas: 1}}`"
        return
    for environment, fields in overlays.items():
        try:
            check_label(environment, "environment")
        except ConfigError as error:
            yield (OVERLAYS, environment), f"{error}: {error.hint}"
        if not isinstance(fields, dict | None):
            yield (OVERLAYS, environment), "must hold the fields that differ in this environment"
        for identity in (each for each in _IDENTITY if isinstance(fields, dict) and each in fields):
            yield (OVERLAYS, environment, identity), "is the same in all environments: say it outside"


class _Making:
    """Makes the services of one file, and gathers what is wrong in any of them."""

    def __init__(self, document: Document, name: str, namespace: str, file: Path | None) -> None:
        self.document = document
        self.name = name
        self.namespace = namespace
        self.file = file
        self.problems: list[Problem] = []
        self.reads = [file] if file else []

    def service(self, environment: str, laid: Laid) -> Service | None:
        """The service in an environment, or None and problems."""
        try:
            fields = ServiceFile.model_validate(laid.document.value)
        except ValidationError as error:
            found = complaints.problems(error, ServiceFile, laid.document)
        else:
            found = service_checks.check(fields)
            requirements = self._requirements(fields, found)
            if not found:
                return to_service(fields, environment, self.namespace, requirements)
        self.problems += [(laid.written(path), text) for path, text in found]
        return None

    def _requirements(self, fields: ServiceFields, found: list[Problem]) -> str:
        given = fields.runtime_environment
        if given is None:
            return ""
        try:
            if self.file is None:
                raise ValueError("names a file beside this one, and only a text is here: load the file itself")
            file = beside(self.file.resolve().parent, given, "the folder of this file")
            self.reads.append(file)
            text = contents(file)
            if len(text) > documents.MAX_BYTES:
                raise ValueError(f"{given} has more than {documents.MAX_BYTES} bytes")
            return text.decode()
        except (ConfigError, ValueError) as error:
            found.append((("runtime_environment",), str(error)))
        return ""
