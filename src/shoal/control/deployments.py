"""The catalogue of services: what is put, scaled, promoted and deleted, and how it does on the nodes.

A change names the revision that it was made for (`expected`), or is made against the one that is there; two who change
at once do not overwrite each other unseen: the later one is tried again, or refused.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from shoal.control.registry import Registry
from shoal.control.registry.nodes import Nodes
from shoal.control.registry.records import ServiceRecord
from shoal.control.registry.within import Reach
from shoal.control.services.diffing import diff
from shoal.control.services.promotion import promote
from shoal.control.services.resolving import Resolver
from shoal.core.catalogue import Difference, NodeHealth, ServiceEntry
from shoal.core.errors import Conflict, InvalidInput, NotFound
from shoal.core.service import Service

ATTEMPTS = 5
MAX_REPLICAS = 1000


class Deployments:
    """Services as they are kept in the registry.

    Args:
        registry: keeps them.
        nodes: tells how they do.
        node_seconds: how old a node's report may be.
    """

    def __init__(self, registry: Registry, nodes: Nodes, node_seconds: float) -> None:
        self._registry = registry
        self._resolver = Resolver(registry)
        self._nodes = nodes
        self._node_seconds = node_seconds

    def page(
        self,
        *,
        namespace: str = "",
        environment: str = "",
        search: str = "",
        owner: str = "",
        deleted: bool = False,
        reach: Reach | None = None,
        limit: int = 100,
        after: str = "",
    ) -> tuple[list[ServiceEntry], str]:
        """Services in order, and the `after` of the next page ("" on the last)."""
        records = self._registry.services(
            namespace=namespace or None,
            environment=environment or None,
            search=search,
            owner=owner,
            deleted=deleted,
            reach=reach,
            limit=limit,
            after=_place(after),
        )
        return self._entries(records), _mark(records[-1].service) if len(records) == limit else ""

    def entry(self, namespace: str, name: str, environment: str) -> ServiceEntry:
        """One service."""
        return self._entry(self._registry.service(namespace, name, environment))

    def history(self, namespace: str, name: str, environment: str, limit: int) -> list[ServiceEntry]:
        """Its revisions, newest first."""
        records = self._registry.service_history(namespace, name, environment, limit=limit)
        return [_bare(record) for record in records]

    def put(self, service: Service, *, actor: str, expected: int | None = None) -> ServiceEntry:
        """Deploy or change a service.

        Raises:
            NotFound: the namespace of the service, or its model, is not there.
            InvalidInput: it asks for the network, and a policy lets it not have it.
            Conflict: another revision than expected is there; or what is served now would have no version any more.
        """
        self._registry.model(service.model_namespace, service.model)
        if service.network:
            self._check_network(service)
        self._resolver.refuse_end(service)
        return self._entry(self._registry.put_service(service, actor=actor, expected=expected))

    def delete(self, namespace: str, name: str, environment: str, *, actor: str) -> None:
        """Undeploy a service."""
        self._registry.delete_service(namespace, name, environment, actor=actor)

    def scale(self, namespace: str, name: str, environment: str, replicas: int, *, actor: str) -> ServiceEntry:
        """Change the number of workers.

        Raises:
            InvalidInput: not a number that makes sense, or the service scales by itself.
        """
        if not 0 <= replicas <= MAX_REPLICAS:
            raise InvalidInput(f"{replicas} workers cannot be had", hint=f"0 to {MAX_REPLICAS}", field="replicas")

        def scaled(service: Service) -> Service:
            if service.autoscaling is not None:
                hint = "change its min_replicas and max_replicas, or take `autoscaling` out of its file"
                raise InvalidInput(f"{service.address} scales by itself", hint=hint, field="replicas")
            return msgspec.structs.replace(service, replicas=replicas)

        return self._change(namespace, name, environment, scaled, actor)

    def promote(self, namespace: str, name: str, source: str, target: str, *, actor: str) -> ServiceEntry:
        """Let an environment answer with what another one answers with."""
        promote(self._registry, namespace, name, source, target, actor=actor)
        return self.entry(namespace, name, target)

    def between(self, namespace: str, name: str, source: str, target: str) -> tuple[Difference, ...]:
        """In what a service differs between two environments."""
        old = self._registry.service(namespace, name, source).service
        return _differences(old, self._registry.service(namespace, name, target).service)

    def against(self, service: Service) -> tuple[Difference, ...]:
        """What would change if this were put."""
        try:
            old = self._registry.service(service.namespace, service.name, service.environment).service
        except NotFound:
            old = None
        return _differences(old, service)

    def _check_network(self, service: Service) -> None:
        for namespace in dict.fromkeys((service.namespace, service.model_namespace)):
            if not self._registry.namespace(namespace).policy.allow_network:
                told = f"the namespace {namespace} lets no worker use the network"
                raise InvalidInput(told, hint="leave `network` out, or change its policy", field="service.network")

    def _change(
        self, namespace: str, name: str, environment: str, change: Callable[[Service], Service], actor: str
    ) -> ServiceEntry:
        """Change what is there; again, if somebody else has changed it meanwhile."""
        for attempt in range(ATTEMPTS):
            record = self._registry.service(namespace, name, environment)
            changed = change(record.service)
            if changed == record.service:
                return self._entry(record)
            try:
                return self._entry(self._registry.put_service(changed, actor=actor, expected=record.revision))
            except Conflict:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    def _entry(self, record: ServiceRecord) -> ServiceEntry:
        return self._entries([record])[0]

    def _entries(self, records: list[ServiceRecord]) -> list[ServiceEntry]:
        health: dict[str, list[NodeHealth]] = {}
        for node in self._nodes.nodes(self._node_seconds):
            for status in node.services:
                health.setdefault(status.address, []).append(NodeHealth(node=node.node, url=node.url, status=status))
        return [_bare(record, tuple(health.get(record.service.address, ()))) for record in records]


def _bare(record: ServiceRecord, health: tuple[NodeHealth, ...] = ()) -> ServiceEntry:
    return ServiceEntry(
        service=record.service,
        revision=record.revision,
        created=record.created,
        updated=record.updated,
        actor=record.actor,
        deleted=record.deleted,
        health=health,
    )


def _differences(old: Service | None, new: Service | None) -> tuple[Difference, ...]:
    return tuple(Difference(path=each.path, old=each.old, new=each.new) for each in diff(old, new))


def _mark(service: Service) -> str:
    return f"{service.namespace}/{service.name}/{service.environment}"


def _place(after: str) -> tuple[str, str, str]:
    namespace, _, rest = after.partition("/")
    name, _, environment = rest.partition("/")
    return namespace, name, environment
