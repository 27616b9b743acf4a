"""What this room reads of the registry and writes to it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from shoal.control.registry.records import ServiceRecord
from shoal.core.registry import Manifest, Model, Namespace, Version
from shoal.core.service import Service


class Readable(Protocol):
    """What is read of `control.registry.Registry`. What is not there, or deleted, is a `NotFound`."""

    def position(self) -> int: ...

    def namespace(self, name: str) -> Namespace: ...

    def model(self, namespace: str, name: str) -> Model: ...

    def models(
        self, namespace: str | None = None, *, limit: int = 100, after: tuple[str, str] = ...
    ) -> list[Model]: ...

    def version(self, namespace: str, model: str, ref: str) -> Version: ...

    def manifest(self, digest: str) -> Manifest: ...

    def service(self, namespace: str, name: str, environment: str = ...) -> ServiceRecord: ...

    def services(
        self,
        *,
        namespace: str | None = None,
        environment: str | None = None,
        limit: int = 100,
        after: tuple[str, str, str] = ...,
    ) -> list[ServiceRecord]: ...


class Store(Readable, Protocol):
    """A part of `control.registry.Registry`."""

    def snapshot(self) -> AbstractContextManager[Readable]: ...

    def put_service(self, service: Service, *, actor: str = "", expected: int | None = None) -> ServiceRecord: ...
