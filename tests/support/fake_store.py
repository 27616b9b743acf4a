"""A registry of dictionaries: as much of it as services need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import msgspec

from shoal.control.registry.records import ServiceRecord
from shoal.core.errors import Conflict, NotFound
from shoal.core.registry import DEFAULT_NAMESPACE, LATEST, Manifest, Model, Namespace, NewVersion, Policy, Version
from shoal.core.service import Service


class FakeStore:
    """Answers as `control.registry.Registry` does."""

    def __init__(self) -> None:
        self.rooms = {DEFAULT_NAMESPACE: Namespace(name=DEFAULT_NAMESPACE)}
        self.kept: dict[tuple[str, str], list[Version]] = {}
        self.manifests: dict[str, Manifest] = {}
        self.stages: dict[tuple[str, str], dict[str, int]] = {}
        self.records: dict[tuple[str, str, str], ServiceRecord] = {}
        self.changes = 0

    def close(self) -> None:
        """Nothing is open."""

    @contextmanager
    def snapshot(self) -> Iterator[Self]:
        yield self

    def position(self) -> int:
        return self.changes

    def create_namespace(self, name: str, *, policy: Policy | None = None) -> Namespace:
        self.rooms[name] = Namespace(name=name, policy=policy or Policy())
        self.changes += 1
        return self.rooms[name]

    def set_policy(self, name: str, policy: Policy) -> Namespace:
        return self.create_namespace(name, policy=policy)

    def namespace(self, name: str) -> Namespace:
        if name not in self.rooms:
            raise NotFound(f"there is no namespace {name!a}")
        return self.rooms[name]

    def register(self, new: NewVersion) -> Version:
        of = self.kept.setdefault((new.namespace, new.model), [])
        plain = {name: getattr(new, name) for name in ("namespace", "model", "runtime", "trust", "alias", "signature")}
        digest = new.manifest.digest
        of.append(Version(version=len(of) + 1, digest=digest, size=new.manifest.size, **plain))
        self.manifests[digest] = new.manifest
        self.changes += 1
        return of[-1]

    def move_stage(self, namespace: str, model: str, stage: str, ref: str | None) -> Any:
        labels = self.stages.setdefault((namespace, model), {})
        labels.pop(stage, None)
        if ref is not None:
            labels[stage] = self.version(namespace, model, ref).version
        self.changes += 1

    def delete_version(self, namespace: str, model: str, number: int) -> None:
        of = self.kept[namespace, model]
        of[number - 1] = msgspec.structs.replace(of[number - 1], deleted=True)
        self.changes += 1

    def manifest(self, digest: str) -> Manifest:
        return self.manifests[digest]

    def model(self, namespace: str, name: str) -> Model:
        self.namespace(namespace)
        if (namespace, name) not in self.kept:
            raise NotFound(f"there is no model {name!a} in namespace {namespace}")
        live = [each.version for each in self.kept[namespace, name] if not each.deleted]
        stages = self.stages.get((namespace, name), {})
        return Model(namespace=namespace, name=name, stages=stages, latest=max(live, default=0))

    def models(
        self, namespace: str | None = None, *, limit: int = 100, after: tuple[str, str] = ("", "")
    ) -> list[Model]:
        keys = sorted(key for key in self.kept if key > after and namespace in (None, key[0]))
        return [self.model(*key) for key in keys[:limit]]

    def version(self, namespace: str, model: str, ref: str) -> Version:
        of = self.model(namespace, model)
        number = of.latest if ref == LATEST else of.stages.get(ref, int(ref) if ref.isdecimal() else 0)
        for each in self.kept[namespace, model]:
            if each.version == number or (each.alias == ref and not number):
                if each.deleted:
                    raise NotFound(f"version {each.version} of the model {model} was deleted")
                return each
        raise NotFound(f"the model {model} of namespace {namespace} has no version {ref!a}")

    def service(self, namespace: str, name: str, environment: str = "production") -> ServiceRecord:
        record = self.records.get((namespace, name, environment))
        if record is None or record.deleted:
            raise NotFound(f"there is no service {name!a}")
        return record

    def services(
        self,
        *,
        namespace: str | None = None,
        environment: str | None = None,
        limit: int = 100,
        after: tuple[str, str, str] = ("", "", ""),
    ) -> list[ServiceRecord]:
        keys = sorted(key for key, record in self.records.items() if key > after and not record.deleted)
        wanted = [key for key in keys if namespace in (None, key[0]) and environment in (None, key[2])]
        return [self.records[key] for key in wanted[:limit]]

    def put_service(self, service: Service, *, actor: str = "", expected: int | None = None) -> ServiceRecord:
        self.namespace(service.namespace)
        key = (service.namespace, service.name, service.environment)
        now = self.records.get(key)
        present = now.revision if now and not now.deleted else 0
        if expected not in (None, present):
            raise Conflict(f"it has revision {present}")
        self.records[key] = ServiceRecord(service=service, revision=(now.revision if now else 0) + 1, actor=actor)
        self.changes += 1
        return self.records[key]

    def delete_service(
        self, namespace: str, name: str, environment: str = "production", *, actor: str = ""
    ) -> ServiceRecord:
        record = self.service(namespace, name, environment)
        gone = msgspec.structs.replace(record, revision=record.revision + 1, deleted=True, actor=actor)
        self.records[namespace, name, environment] = gone
        self.changes += 1
        return gone
