"""Routes made of one state of the registry.

A service that cannot be served now (its version is unknown, deleted, not signed) has a route without a target and with
the reason, so that `shoal why` can tell it and a later change is followed. Of namespaces and versions nothing is read
twice: a node that starts asks for many routes, and each model's first call asks for one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache

import msgspec

from shoal.control.services import serving
from shoal.control.services.store import Readable
from shoal.core.errors import NotFound, PermissionDenied, ShoalError
from shoal.core.registry import LATEST, PRODUCTION, Policy
from shoal.core.routes import Fetched, Route, Target
from shoal.core.service import Service, address

_NEIGHBOURS = 50
_SUGGESTIONS = 3


class Reading:
    """See the module.

    Args:
        state: of the registry, as long as this lives.
    """

    def __init__(self, state: Readable) -> None:
        self._state = state
        self._version = cache(state.version)
        self._policies: dict[str, Policy] = {}

    def route_to(self, address: str, version: str = "") -> Route:
        """How an address is answered; see `resolving.Resolver.resolve`."""
        revision = self._state.position()
        service, implicit = self._service(address)
        if version:
            self._version(service.model_namespace, service.model, serving.check_ref(version))
            service = msgspec.structs.replace(service, ref=version)
        return self.route(service, revision, implicit=implicit)

    def route(self, service: Service, revision: int, *, implicit: bool = False) -> Route:
        """How a service is answered.

        Args:
            service: one that is there, or would be.
            revision: the position of the feed that the route carries.
            implicit: whether it is that of a model without one.

        Raises:
            NotFound: there is no namespace of its model.
        """
        policy = self._policy(service.model_namespace)
        route = Route(
            service=service,
            target=None,
            implicit=implicit,
            revision=revision,
            public=policy.public,
            network=service.network if policy.allow_network and self._allows_network(service.namespace) else False,
        )
        try:
            target = self._target(service, service.model_namespace, service.model, service.ref)
            downloads = tuple(self._downloads(service))
        except (NotFound, PermissionDenied) as error:
            return msgspec.structs.replace(route, reason=_reason(error, service, implicit=implicit))
        return msgspec.structs.replace(route, target=target, downloads=downloads)

    def _allows_network(self, namespace: str) -> bool:
        return self._policy(namespace).allow_network

    def _policy(self, namespace: str) -> Policy:
        if namespace not in self._policies:
            self._policies[namespace] = self._state.namespace(namespace).policy
        return self._policies[namespace]

    def _service(self, text: str) -> tuple[Service, bool]:
        """The service at an address, and whether it is an implicit one."""
        name, environment, namespace = serving.parts_of(text)
        policy = self._policy(namespace)
        try:
            return self._state.service(namespace, name, environment).service, False
        except NotFound as error:
            if environment != PRODUCTION:
                raise self._unknown(text, name, namespace) from error
        try:
            service = serving.implicit(self._state.model(namespace, name), policy)
        except NotFound as error:
            raise self._unknown(text, name, namespace) from error
        if service is None:
            hint = f"describe one in a service.yaml and `shoal deploy` it: namespace {namespace} serves nothing without"
            raise NotFound(f"the model {name} has no service", hint=hint, field="address")
        return service, True

    def _unknown(self, text: str, name: str, namespace: str) -> NotFound:
        there = self._names_near(name, namespace)
        near = [each for close in difflib.get_close_matches(name, there, n=_SUGGESTIONS) for each in there[close]]
        meant = f"did you mean {' or '.join(near[:_SUGGESTIONS])}? " if near else ""
        hint = f"{meant}`shoal services` and `shoal models` show what there is"
        return NotFound(f"nothing answers at {text[:200]!a}", hint=hint, field="address")

    def _names_near(self, name: str, namespace: str) -> dict[str, list[str]]:
        """Names that begin alike, with their addresses: ranges of an index, however many there are."""
        start = name[: len(name) // 2]
        there: dict[str, list[str]] = {}
        for record in self._state.services(namespace=namespace, limit=_NEIGHBOURS, after=(namespace, start, "")):
            there.setdefault(record.service.name, []).append(record.service.address)
        for model in self._state.models(namespace, limit=_NEIGHBOURS, after=(namespace, start)):
            there.setdefault(model.name, [address(model.name, PRODUCTION, namespace)])
        return there

    def _downloads(self, service: Service) -> Iterator[Fetched]:
        for each in service.downloads if service.autodownload else ():
            target = self._target(service, each.namespace, each.model, each.ref)
            yield Fetched(target=target, dest_path=each.dest_path)

    def _target(self, service: Service, namespace: str, model: str, ref: str) -> Target:
        version = self._version(namespace, model, ref)
        keys = serving.required_keys(version, self._policy(namespace), environment=service.environment, ref=ref)
        return Target(
            namespace=namespace,
            model=model,
            version=str(version.version),
            digest=version.digest,
            manifest=self._state.manifest(version.digest),
            runtime=version.runtime,
            trust=version.trust,
            signature=version.signature if keys else "",
            trusted_keys=keys,
        )


def _reason(error: ShoalError, service: Service, *, implicit: bool) -> str:
    if implicit and service.ref != LATEST and isinstance(error, NotFound):
        move = f"`shoal stage {service.model} {service.ref} VERSION` serves one"
        return f"no version of {service.model} has the stage {service.ref}, and it has no service of its own: {move}"
    return f"{error.message}; {error.hint}" if error.hint else error.message
