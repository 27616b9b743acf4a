"""What the control API says and is asked, beyond the nouns of the registry, of services and of routes.

Values of this module cross between control, its client and the commands as JSON.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from shoal.core.registry import Manifest, Model, Namespace, NewVersion, Policy, StageMove, Tags, Version
from shoal.core.routes import NodeStatus, Route, ServiceStatus
from shoal.core.service import Service


class NamespaceChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a namespace is to be; it is made if it is not there, and what is not said of one that is there stays."""

    description: str | None = None
    owner: str | None = None
    policy: Policy | None = None


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people say of a model or version; what is None stays as it is."""

    description: str | None = None
    owner: str | None = None
    tags: Tags | None = None


class StageRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a stage is to point.

    Attributes:
        ref: a version's number or alias, another stage, or ``latest``.
        expected: the version at which the stage must be for this to happen (0: it must not be there), or None.
        allow_older: whether a stage that asks for signatures may go back to what it has left behind.
    """

    ref: str
    comment: str = ""
    expected: int | None = None
    allow_older: bool = False


class RollbackRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step back of a stage; `expected` as in `StageRequest`."""

    expected: int | None = None


class Digests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Blobs, by SHA-256."""

    digests: tuple[str, ...]


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in an archive; its files are stored, nothing is registered yet.

    Attributes:
        manifest: the files.
        digest: of the manifest.
        runtime: the adapter that fits; "" if the files are no model.
        code: how the artifact can carry code, as the end of a sentence; "" when it cannot.
        notes: what was left out, and what else a person should know; sentences.
    """

    manifest: Manifest
    digest: str
    runtime: str = ""
    code: str = ""
    notes: tuple[str, ...] = ()


class ManyVersions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Versions to be registered together."""

    versions: tuple[NewVersion, ...]


class NamespaceList(msgspec.Struct, frozen=True):
    namespaces: tuple[Namespace, ...]


class ModelList(msgspec.Struct, frozen=True):
    """A page of models; `next` is the `after` of the next page, "" on the last."""

    models: tuple[Model, ...]
    next: str = ""


class VersionList(msgspec.Struct, frozen=True):
    """Versions, newest first; `next` is the `before` of the next page, 0 on the last."""

    versions: tuple[Version, ...]
    next: int = 0


class StageHistory(msgspec.Struct, frozen=True):
    """Moves of stages, newest first."""

    moves: tuple[StageMove, ...]


class NodeHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How a service does on one node, as that node has reported."""

    node: str
    url: str
    status: ServiceStatus


class ServiceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the catalogue of services.

    Attributes:
        revision: grows with each change of this service.
        created, updated: Unix seconds.
        actor: who changed it last.
        deleted: whether it is a tombstone.
        health: one entry for each node that runs it.
    """

    service: Service
    revision: int
    created: float = 0.0
    updated: float = 0.0
    actor: str = ""
    deleted: bool = False
    health: tuple[NodeHealth, ...] = ()


class ServiceList(msgspec.Struct, frozen=True):
    """A page of services; `next` is the `after` of the next page, "" on the last."""

    services: tuple[ServiceEntry, ...]
    next: str = ""


class ServiceRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service as it is to be; `expected` is the revision that must be there (0: none), or None."""

    service: Service
    expected: int | None = None


class ScaleRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many workers or seats there are to be."""

    replicas: int


class PromoteRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"source": "from"}):
    """Take what a service answers with from one environment to another."""

    source: str
    to: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A field that differs between two services; None on one side if that side has none."""

    path: str
    old: Any
    new: Any


class Differences(msgspec.Struct, frozen=True):
    differences: tuple[Difference, ...]


class RouteList(msgspec.Struct, frozen=True):
    routes: tuple[Route, ...]


class NodeList(msgspec.Struct, frozen=True):
    nodes: tuple[NodeStatus, ...]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that somebody did.

    Attributes:
        number: its place in the order of events.
        at: Unix seconds.
        action: such as ``version.register``.
        subject: what it was done to.
        detail: more, by name.
        outcome: ``done``, or ``denied``: somebody wanted to and may not.
        request: id of the request that it was done by, if there was one.
        hash: chains it to the one before; see `shoal audit verify`.
    """

    number: int
    at: float
    actor: str
    action: str
    namespace: str = ""
    subject: str = ""
    detail: dict[str, Any] = {}
    outcome: str = "done"
    request: str = ""
    hash: str = ""


class EventList(msgspec.Struct, frozen=True):
    """Events, newest first; `next` is the `before` of the next page, 0 on the last."""

    events: tuple[Event, ...]
    next: int = 0


class CollectRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be collected; None stands for what the settings of control say.

    Attributes:
        dry_run: only tell what would go.
        keep_deleted_seconds: how long a version must have been deleted before it is forgotten for good.
        grace_seconds: how old an unused blob must be.
    """

    dry_run: bool = False
    keep_deleted_seconds: float | None = None
    grace_seconds: float | None = None


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What a collection took away, or would."""

    versions: int
    blobs: int
    bytes: int
    dry_run: bool = False


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether control works, and who it is.

    Attributes:
        version: of Shoal.
        position: of the change feed.
        models: registered models.
    """

    state: Literal["live", "ready"]
    version: str = ""
    position: int = 0
    models: int = 0
