"""The client of the control API: each route as a method that takes and gives the nouns of `shoal.core`.

    with ControlClient("http://127.0.0.1:8081") as control:
        control.move_stage("default", "iris", "production", "3")

Every method raises `ShoalError` by what went wrong. Lists are given page by page, unless a method says that it gives
all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, BinaryIO

from shoal.client.control_link import CHUNK, ControlLink, Progress, Upload, segment
from shoal.core import catalogue as words
from shoal.core.access import AccessTable
from shoal.core.errors import CorruptArtifact, NotFound
from shoal.core.keyring import DeniedBatch, KeyEntry, KeyList, KeyRequest, NewKey, Verdict
from shoal.core.quotas import Usage
from shoal.core.registry import DEFAULT_NAMESPACE, Manifest, Model, Namespace, NewVersion, StageMove, Version
from shoal.core.routes import Feed, NodeStatus, Route
from shoal.core.service import Service

PAGE = 500


class ControlClient:
    """A connection to a control; made of the same arguments as `ControlLink`."""

    def __init__(self, url: str, **options: Any) -> None:
        self.link = ControlLink(url, **options)
        self.url = url

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self.link.close()

    # Namespaces

    def namespaces(self) -> tuple[Namespace, ...]:
        return self.link.call("GET", "/v1/namespaces", words.NamespaceList).namespaces

    def namespace(self, name: str) -> Namespace:
        return self.link.call("GET", f"/v1/namespaces/{segment(name)}", Namespace)

    def put_namespace(self, name: str, change: words.NamespaceChange) -> Namespace:
        return self.link.call("PUT", f"/v1/namespaces/{segment(name)}", Namespace, body=change)

    def usage(self, namespace: str) -> Usage:
        """What a namespace holds, and may hold."""
        return self.link.call("GET", f"/v1/namespaces/{segment(namespace)}/usage", Usage)

    # Models and versions

    def models(self, **wanted: Any) -> words.ModelList:
        """A page; `wanted` are the parameters of the route: namespace, search, stage, owner, limit, after."""
        return self.link.call("GET", "/v1/models", words.ModelList, query=wanted)

    def all_models(self, **wanted: Any) -> Iterator[Model]:
        """All models, page after page."""
        after = ""
        while True:
            page = self.models(**wanted, limit=PAGE, after=after)
            yield from page.models
            if not (after := page.next):
                return

    def model(self, namespace: str, name: str) -> Model:
        return self.link.call("GET", _model(namespace, name), Model)

    def describe(self, namespace: str, name: str, said: words.Description) -> Model:
        return self.link.call("PATCH", _model(namespace, name), Model, body=said)

    def delete_model(self, namespace: str, name: str) -> None:
        self.link.do("DELETE", _model(namespace, name))

    def versions(
        self, namespace: str, name: str, *, deleted: bool = False, limit: int = 100, before: int = 0
    ) -> words.VersionList:
        query: dict[str, object] = {"deleted": "true" if deleted else "", "limit": limit, "before": before or ""}
        return self.link.call("GET", f"{_model(namespace, name)}/versions", words.VersionList, query=query)

    def version(self, namespace: str, name: str, ref: str) -> Version:
        return self.link.call("GET", f"{_model(namespace, name)}/versions/{segment(ref)}", Version)

    def register(self, new: NewVersion) -> Version:
        return self.link.call("POST", f"{_model(new.namespace, new.model)}/versions", Version, body=new)

    def register_many(self, versions: Sequence[NewVersion]) -> tuple[Version, ...]:
        many = words.ManyVersions(tuple(versions))
        return self.link.call("POST", "/v1/register-many", words.VersionList, body=many).versions

    def describe_version(self, namespace: str, name: str, number: int, said: words.Description) -> Version:
        return self.link.call("PATCH", f"{_model(namespace, name)}/versions/{number}", Version, body=said)

    def delete_version(self, namespace: str, name: str, number: int) -> None:
        self.link.do("DELETE", f"{_model(namespace, name)}/versions/{number}")

    # Stages

    def move_stage(self, namespace: str, name: str, stage: str, ref: str, **more: Any) -> StageMove:
        """`more` are the other fields of `StageRequest`."""
        asked = words.StageRequest(ref=ref, **more)
        return self.link.call("PUT", _stage(namespace, name, stage), StageMove, body=asked)

    def remove_stage(self, namespace: str, name: str, stage: str, *, expected: int | None = None) -> StageMove:
        return self.link.call("DELETE", _stage(namespace, name, stage), StageMove, query={"expected": expected})

    def rollback(self, namespace: str, name: str, stage: str, **more: Any) -> StageMove:
        """`more` are the fields of `RollbackRequest`."""
        asked = words.RollbackRequest(**more)
        return self.link.call("POST", f"{_stage(namespace, name, stage)}/rollback", StageMove, body=asked)

    def stage_history(self, namespace: str, name: str, stage: str = "", *, limit: int = 100) -> tuple[StageMove, ...]:
        part = f"/{segment(stage)}" if stage else ""
        path = f"{_model(namespace, name)}/stages{part}/history"
        return self.link.call("GET", path, words.StageHistory, query={"limit": limit}).moves

    # Files

    def missing(
        self, digests: Iterable[str], *, namespace: str = "", model: str = "", size: int = 0
    ) -> tuple[str, ...]:
        """Which of these blobs must be uploaded.

        Args:
            namespace, model, size: what they are to become, a version with so many bytes.

        Raises:
            QuotaExceeded: the namespace has no room for that.
        """
        query: dict[str, object] = {"namespace": namespace, "model": model, "bytes": size or ""}
        asked = words.Digests(tuple(digests))
        return self.link.call("POST", "/v1/blobs/missing", words.Digests, query=query, body=asked).digests

    def has_blob(self, sha256: str) -> bool:
        try:
            self.link.do("HEAD", f"/v1/blobs/{segment(sha256)}")
        except NotFound:
            return False
        return True

    def upload(self, sha256: str, file: BinaryIO, size: int, progress: Progress | None = None) -> None:
        """Store a blob."""
        self.link.do("PUT", f"/v1/blobs/{segment(sha256)}", body=Upload(file=file, size=size, progress=progress))

    def download(self, sha256: str, target: BinaryIO, progress: Progress | None = None) -> None:
        """Write a blob into a file that can be read again, and compare it with its name.

        Raises:
            CorruptArtifact: what came is not what the digest says.
        """
        self.link.fetch(f"/v1/blobs/{segment(sha256)}", target, progress)
        if _sha256(target) != sha256:
            raise CorruptArtifact(f"the blob {sha256[:12]} is not what its digest says", hint="push the version again")

    def manifest(self, digest: str) -> Manifest:
        return self.link.call("GET", f"/v1/manifests/{segment(digest)}", Manifest)

    def send_archive(self, name: str, file: BinaryIO, size: int, progress: Progress | None = None) -> words.Examined:
        """Let control unpack a tar or zip archive."""
        body = Upload(file=file, size=size, progress=progress)
        return self.link.call("POST", "/v1/archives", words.Examined, query={"name": name}, body=body, wait=600.0)

    # Services

    def services(self, **wanted: Any) -> words.ServiceList:
        """A page; `wanted`: namespace, environment, search, owner, deleted ("true"), limit, after."""
        return self.link.call("GET", "/v1/services", words.ServiceList, query=wanted)

    def service(self, namespace: str, name: str, environment: str) -> words.ServiceEntry:
        return self.link.call("GET", _service(namespace, name, environment), words.ServiceEntry)

    def put_service(self, service: Service, *, expected: int | None = None) -> words.ServiceEntry:
        path = _service(service.namespace, service.name, service.environment)
        asked = words.ServiceRequest(service=service, expected=expected)
        return self.link.call("PUT", path, words.ServiceEntry, body=asked)

    def delete_service(self, namespace: str, name: str, environment: str) -> None:
        self.link.do("DELETE", _service(namespace, name, environment))

    def service_history(self, namespace: str, name: str, environment: str) -> tuple[words.ServiceEntry, ...]:
        return self.link.call("GET", f"{_service(namespace, name, environment)}/history", words.ServiceList).services

    def scale(self, namespace: str, name: str, environment: str, replicas: int) -> words.ServiceEntry:
        path = f"{_service(namespace, name, environment)}/scale"
        return self.link.call("POST", path, words.ServiceEntry, body=words.ScaleRequest(replicas))

    def promote(self, namespace: str, name: str, source: str, target: str) -> words.ServiceEntry:
        asked = words.PromoteRequest(source=source, to=target)
        path = f"/v1/services/{segment(namespace)}/{segment(name)}/promote"
        return self.link.call("POST", path, words.ServiceEntry, body=asked)

    def differences(
        self, name: str, source: str, target: str, namespace: str = DEFAULT_NAMESPACE
    ) -> tuple[words.Difference, ...]:
        """In what a service differs between two environments."""
        query: dict[str, object] = {"namespace": namespace, "name": name, "from": source, "to": target}
        return self.link.call("GET", "/v1/diff", words.Differences, query=query).differences

    def changes(self, service: Service) -> tuple[words.Difference, ...]:
        """What would change if this service were put."""
        asked = words.ServiceRequest(service=service)
        return self.link.call("POST", "/v1/diff", words.Differences, body=asked).differences

    # Nodes

    def route(self, address: str, version: str = "") -> Route:
        return self.link.call("GET", f"/v1/routes/{segment(address)}", Route, query={"version": version})

    def desired(self, environment: str = "") -> tuple[Route, ...]:
        return self.link.call("GET", "/v1/desired", words.RouteList, query={"environment": environment}).routes

    def feed(self, after: int, wait: float = 0.0) -> Feed:
        """What has changed since; waits up to so many seconds for something to change."""
        query: dict[str, object] = {"after": after, "wait": wait or ""}
        return self.link.call("GET", "/v1/feed", Feed, query=query, wait=wait)

    def report(self, status: NodeStatus) -> None:
        self.link.do("PUT", f"/v1/nodes/{segment(status.node)}", body=status)

    def denied(self, node: str, batch: DeniedBatch, again: str = "") -> None:
        """Tell what a node has denied; a batch that is told again under the same key is recorded once."""
        self.link.do("POST", f"/v1/nodes/{segment(node)}/denied", body=batch, again=again)

    def nodes(self) -> tuple[NodeStatus, ...]:
        return self.link.call("GET", "/v1/nodes", words.NodeList).nodes

    # Keys and the audit log

    def list_keys(self) -> tuple[KeyEntry, ...]:
        return self.link.call("GET", "/v1/keys", KeyList).keys

    def create_key(self, asked: KeyRequest) -> NewKey:
        """The new key with its text, which control tells this once; the first one turns authentication on."""
        return self.link.call("POST", "/v1/keys", NewKey, body=asked)

    def revoke_key(self, key_id: str) -> KeyEntry:
        return self.link.call("DELETE", f"/v1/keys/{segment(key_id)}", KeyEntry)

    def access(self) -> AccessTable:
        """Whom a node lets in."""
        return self.link.call("GET", "/v1/access", AccessTable)

    def verify_audit(self, number: int = 0, sha256: str = "") -> Verdict:
        """Whether the audit log is what was written; number and hash are of a record that was remembered."""
        query: dict[str, object] = {"number": number or "", "hash": sha256}
        return self.link.call("GET", "/v1/audit", Verdict, query=query, wait=600.0)

    # Upkeep

    def ready(self) -> words.Health:
        return self.link.call("GET", "/health/ready", words.Health)

    def events(self, *, subject: str = "", limit: int = 100, before: int = 0) -> words.EventList:
        query: dict[str, object] = {"subject": subject, "limit": limit, "before": before or ""}
        return self.link.call("GET", "/v1/events", words.EventList, query=query)

    def collect(self, asked: words.CollectRequest) -> words.Collected:
        return self.link.call("POST", "/v1/gc", words.Collected, body=asked, wait=3600.0)


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _model(namespace: str, name: str) -> str:
    return f"/v1/models/{segment(namespace)}/{segment(name)}"


def _stage(namespace: str, name: str, stage: str) -> str:
    return f"{_model(namespace, name)}/stages/{segment(stage)}"


def _service(namespace: str, name: str, environment: str) -> str:
    return f"/v1/services/{segment(namespace)}/{segment(name)}/{segment(environment)}"
