"""What control tells a node: routes, and a numbered feed of what has changed.

A `Route` is everything a node needs to answer one address; it is made by control from a service (or, for a model that
has none, from the namespace's policy) and the registry. A node asks for a route when it is first called, keeps it in
memory and on disk, and asks again when the feed names it. Nothing here is needed to *go on* serving.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from shoal.core.registry import Manifest
from shoal.core.service import Service


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A version that can answer.

    Attributes:
        version: its number, as text.
        digest: of its manifest; names its files in the artifact store.
        manifest: its files.
        runtime, trust: see `core.registry.Version`.
        signature, trusted_keys: what the node must verify before it loads the files; no keys: nothing.
    """

    namespace: str
    model: str
    version: str
    digest: str
    manifest: Manifest
    runtime: str = ""
    trust: Literal["", "code"] = ""
    signature: str = ""
    trusted_keys: tuple[str, ...] = ()


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A resolved `core.service.Download`."""

    target: Target
    dest_path: str


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """How one address is answered.

    Attributes:
        service: as it is to be run now; an implicit one for a model without a service.
        implicit: whether there is no `service.yaml` behind it.
        target: the version that answers; None while there is none, for `reason`.
        downloads: what else is fetched first.
        revision: number of the feed at which this became true.
        public: see `core.registry.Policy`.
        network: whether its workers may use the network: what the service says, or no, where a policy says so; None:
            what the model says.
        reason: why there is no target: unknown version, deleted, not signed; a sentence.
    """

    service: Service
    target: Target | None
    implicit: bool = False
    downloads: tuple[Fetched, ...] = ()
    revision: int = 0
    public: bool = False
    network: bool | None = None
    reason: str = ""

    @property
    def must_run(self) -> bool:
        """Whether it runs without being called: it is pinned, or has at least one worker of its own."""
        service = self.service
        if self.implicit or service.placement == "shared":
            return not self.implicit and service.pinned
        least = service.autoscaling.min_replicas if service.autoscaling else service.replicas
        return least > 0


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the feed.

    Attributes:
        number: position in the feed; grows by at least one from entry to entry.
        kind: ``service``: this service was put or deleted in `environment`; ``model``: versions, stages or deletion of
            a model; ``namespace``: its policy; ``access``: the keys that are let in.
        namespace: "" for keys.
        name: of the service or model; "" for a namespace and for keys.
    """

    number: int
    kind: Literal["service", "model", "namespace", "access"]
    namespace: str
    name: str = ""
    environment: str = ""


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the feed.

    Attributes:
        changes: in order, each affected thing at least once.
        position: ask for what comes after this next.
        reset: the entries asked for are not kept any more: everything that is known must be asked for again.
    """

    changes: tuple[Change, ...]
    position: int
    reset: bool = False


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a service does on one node.

    Attributes:
        state: see `core.model.ModelState`.
        version: the version that answers now.
        wanted, ready: workers.
        reason: why the state is what it is.
    """

    address: str
    state: str
    version: str = ""
    wanted: int = 0
    ready: int = 0
    reason: str = ""


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a node reports of itself.

    Attributes:
        node: its name.
        url: of its data port.
        position: of the feed that it has applied.
        services: those with a `service.yaml`.
    """

    node: str
    url: str
    position: int = 0
    services: tuple[ServiceStatus, ...] = ()
