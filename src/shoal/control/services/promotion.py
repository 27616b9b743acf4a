"""What answers in one environment, taken to another.

`TAKEN` is what was tried out, and what people say of it: the model and its version, libraries, batching, limits,
parameters, cache, features and downloads. `KEPT` is what belongs to the place: how many workers, how large, where,
their variables, and whether they may use the network; a target that is not there yet gets the source's. Versions are
taken as numbers: what was tried is what is served, also when a stage of the source moves on, and a target that followed
a stage is bound to the number from then on.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from shoal.control.services.resolving import Resolver
from shoal.control.services.store import Store
from shoal.core.errors import Conflict, InvalidInput, NotFound
from shoal.core.registry import check_label
from shoal.core.service import Service, address

TAKEN = (
    "model_namespace",
    "model",
    "ref",
    "description",
    "owner",
    "links",
    "tags",
    "requirements",
    "batching",
    "limits",
    "parameters",
    "cache",
    "features",
    "downloads",
    "autodownload",
)
KEPT = (
    "placement",
    "pool",
    "pinned",
    "replicas",
    "cpu",
    "memory_bytes",
    "device",
    "port",
    "timeout_seconds",
    "latency_target_ms",
    "autoscaling",
    "variables",
    "network",
)
Number = Callable[[str, str, str], int]
"""Namespace, model and ref -> the number of the version."""


def bound(service: Service, number: Number) -> Service:
    """The same service with numbers in place of stages, aliases and `latest`."""
    downloads = tuple(
        msgspec.structs.replace(each, ref=str(number(each.namespace, each.model, each.ref)))
        for each in service.downloads
    )
    ref = str(number(service.model_namespace, service.model, service.ref))
    return msgspec.structs.replace(service, ref=ref, downloads=downloads)


def promoted(source: Service, target: Service | None, environment: str) -> Service:
    """The service that the target environment gets.

    Args:
        source: with its versions bound to numbers.
        target: what is there, or None.
        environment: where it goes.
    """
    if target is None:
        return msgspec.structs.replace(source, environment=environment)
    return msgspec.structs.replace(target, **{name: getattr(source, name) for name in TAKEN})


def promote(registry: Store, namespace: str, name: str, source: str, target: str, *, actor: str = "") -> Service:
    """Let one environment answer with what another one answers with.

    Args:
        registry: where the services are.
        namespace, name: of the service.
        source, target: environments.
        actor: who does it.

    Raises:
        NotFound: there is no such service in the source environment, or its version is not there.
        InvalidInput: source and target are the same.
        Conflict: the target could not serve it (it is not signed, for instance), or was changed meanwhile.
    """
    if source == target:
        raise InvalidInput("source and target are the same environment", hint="name two", field="to")
    check_label(target, "environment")
    tried = registry.service(namespace, name, source).service
    service, revision = _present(registry, namespace, name, target)
    made = promoted(bound(tried, lambda *of: registry.version(*of).version), service, target)
    if reason := Resolver(registry).check(made):
        raise Conflict(f"{address(name, target, namespace)} could not serve it: {reason}", field="to")
    return registry.put_service(made, actor=actor, expected=revision).service


def _present(registry: Store, namespace: str, name: str, environment: str) -> tuple[Service | None, int]:
    """What is there now, and its revision; 0 if nothing is."""
    try:
        record = registry.service(namespace, name, environment)
    except NotFound:
        return None, 0
    return record.service, record.revision
