"""From an address to the `Route` that a node is told.

    NAME[+ENVIRONMENT][@NAMESPACE]    the service of that name in that environment; else, in production, the model of
                                      that name, by the policy of its namespace

An address where nothing is meant to answer is a `NotFound`. Each route is made of one state of the registry (see
`reading`), and carries a position of the feed that is not ahead of it: whatever changes meanwhile is told again.
"""

from __future__ import annotations

from collections.abc import Iterator

from shoal.control.services import serving
from shoal.control.services.reading import Reading
from shoal.control.services.store import Store
from shoal.core.errors import Conflict, NotFound
from shoal.core.registry import PRODUCTION
from shoal.core.routes import Change, Route
from shoal.core.service import Service, address

PAGE = 500


class Resolver:
    """Makes routes of what the registry holds.

    Args:
        registry: read anew for each call.
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
        with self._registry.snapshot() as state:
            return Reading(state).route_to(address, version)

    def desired(self, environment: str | None = None) -> list[Route]:
        """The routes of all services that run without being called, in one environment or in all."""
        revision = self._registry.position()
        routes: list[Route] = []
        for page in self._pages(environment):
            with self._registry.snapshot() as state:
                reading = Reading(state)
                routes += (reading.route(each, revision) for each in page)
        return [route for route in routes if route.must_run]

    def check(self, service: Service) -> str:
        """Why a service could not be served now if it was deployed, as a sentence; "" if it could.

        Raises:
            NotFound: there is no such namespace.
        """
        with self._registry.snapshot() as state:
            return Reading(state).route(service, 0).reason

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
        touched = {each.address for page in self._pages() for each in page if serving.touches(change, each)}
        if change.kind in ("service", "model"):
            touched.add(address(change.name, change.environment or PRODUCTION, change.namespace))
        return frozenset(touched)

    def _pages(self, environment: str | None = None) -> Iterator[list[Service]]:
        after = ("", "", "")
        while page := self._registry.services(environment=environment, limit=PAGE, after=after):
            last = page[-1].service
            after = (last.namespace, last.name, last.environment)
            yield [record.service for record in page]
