"""From an address to the `Route` that a node is told.

    NAME[+ENVIRONMENT][@NAMESPACE]    the service of that name in that environment; else, in production, the model of
                                      that name, by the policy of its namespace

An address where nothing is meant to answer is a `NotFound`. One whose service cannot be served *now* (its version is
unknown, deleted, not signed) is a route without a target and with the reason, so that `shoal why` can tell it and a
later change is followed. Each route carries the position of the feed before the registry was read: whatever changes
meanwhile is told again.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import msgspec

from shoal.control.services import serving
from shoal.control.services.store import Store
from shoal.core.errors import Conflict, NotFound, PermissionDenied, ShoalError
from shoal.core.registry import LATEST, PRODUCTION
from shoal.core.routes import Change, Fetched, Route, Target
from shoal.core.service import Service, address

PAGE = 500
_NEIGHBOURS = 50
_SUGGESTIONS = 3


class Resolver:
    """Makes routes of what the registry holds.

    Args:
        registry: read anew for each route.
    """

    def __init__(self, registry: Store) -> None:
        self._registry = registry

    def resolve(self, address: str, version: str = "") -> Route:
        """How an address is answered.

        Args:
            address: see the module.
            version: a number, alias or stage in place of what the service says; "" takes what it says.

        Raises:
            NotFound: there is no such service or model, or no such version of it.
        """
        revision = self._registry.position()
        service, implicit = self._service(address)
        if version:
            self._registry.version(service.model_namespace, service.model, serving.check_ref(version))
            service = msgspec.structs.replace(service, ref=version)
        return self._route(service, revision, implicit=implicit)

    def desired(self, environment: str | None = None) -> list[Route]:
        """The routes of all services that run without being called, in one environment or in all."""
        revision = self._registry.position()
        routes = (self._route(each, revision) for each in self._services(environment))
        return [route for route in routes if route.must_run]

    def check(self, service: Service) -> str:
        """Why a service could not be served now if it was deployed, as a sentence; "" if it could.

        Raises:
            NotFound: there is no such namespace.
        """
        return self._route(service, 0).reason

    def refuse_end(self, service: Service) -> None:
        """Refuse a change that would end what is served: a version that is not there is a mistake, and no wish.

        Raises:
            Conflict: the service as it is can be served, and as it would be it could not.
        """
        try:
            there = self._registry.service(service.namespace, service.name, service.environment).service
        except NotFound:
            return
        if (reason := self.check(service)) and not self.check(there):
            hint = "push or stage that version first; `shoal undeploy` ends a service"
            raise Conflict(f"{service.address} would not be served any more: {reason}", hint=hint, field="service")

    def affected(self, change: Change) -> frozenset[str]:
        """The addresses whose routes may be others after a change.

        Of a namespace's policy these are the services; the models without one are known only to those who have asked
        for them.
        """
        touched = {each.address for each in self._services() if serving.touches(change, each)}
        if change.kind != "namespace":
            touched.add(address(change.name, change.environment or PRODUCTION, change.namespace))
        return frozenset(touched)

    def _services(self, environment: str | None = None) -> Iterator[Service]:
        after = ("", "", "")
        while page := self._registry.services(environment=environment, limit=PAGE, after=after):
            last = page[-1].service
            after = (last.namespace, last.name, last.environment)
            yield from (record.service for record in page)

    def _service(self, text: str) -> tuple[Service, bool]:
        """The service at an address, and whether it is an implicit one."""
        name, environment, namespace = serving.parts_of(text)
        policy = self._registry.namespace(namespace).policy
        try:
            return self._registry.service(namespace, name, environment).service, False
        except NotFound as error:
            if environment != PRODUCTION:
                raise self._unknown(text, name, namespace) from error
        try:
            service = serving.implicit(self._registry.model(namespace, name), policy)
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
        for record in self._registry.services(namespace=namespace, limit=_NEIGHBOURS, after=(namespace, start, "")):
            there.setdefault(record.service.name, []).append(record.service.address)
        for model in self._registry.models(namespace, limit=_NEIGHBOURS, after=(namespace, start)):
            there.setdefault(model.name, [address(model.name, PRODUCTION, namespace)])
        return there

    def _route(self, service: Service, revision: int, *, implicit: bool = False) -> Route:
        policy = self._registry.namespace(service.model_namespace).policy
        route = Route(service=service, target=None, implicit=implicit, revision=revision, public=policy.public)
        try:
            target = self._target(service, service.model_namespace, service.model, service.ref)
            downloads = tuple(self._downloads(service))
        except (NotFound, PermissionDenied) as error:
            return msgspec.structs.replace(route, reason=_reason(error, service, implicit=implicit))
        return msgspec.structs.replace(route, target=target, downloads=downloads)

    def _downloads(self, service: Service) -> Iterator[Fetched]:
        for each in service.downloads if service.autodownload else ():
            target = self._target(service, each.namespace, each.model, each.ref)
            yield Fetched(target=target, dest_path=each.dest_path)

    def _target(self, service: Service, namespace: str, model: str, ref: str) -> Target:
        version = self._registry.version(namespace, model, ref)
        policy = self._registry.namespace(namespace).policy
        keys = serving.required_keys(version, policy, environment=service.environment, ref=ref)
        return Target(
            namespace=namespace,
            model=model,
            version=str(version.version),
            digest=version.digest,
            manifest=self._registry.manifest(version.digest),
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
