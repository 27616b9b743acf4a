"""The application of the gateway, put together: what answers HTTP, what answers gRPC, and how both end."""

from __future__ import annotations

from shoal.core.errors import NotFound
from shoal.core.metrics import Metrics
from shoal.core.ports import Models
from shoal.serving.gateway.endpoints.apps import Apps
from shoal.serving.gateway.endpoints.grpc_health import HealthService
from shoal.serving.gateway.endpoints.grpc_services import rpc_methods
from shoal.serving.gateway.endpoints.health import Health
from shoal.serving.gateway.endpoints.repository import Repository
from shoal.serving.gateway.endpoints.rest import Expose
from shoal.serving.gateway.exchange import Exchange, HttpApp
from shoal.serving.gateway.guard.guard import Guard
from shoal.serving.gateway.naming import Naming
from shoal.serving.gateway.problems import Refusals
from shoal.serving.gateway.quotas import Quotas
from shoal.serving.gateway.routes import HostRouter, Router
from shoal.serving.gateway.seeking import Seeker


class Application:
    """Everything between the sockets and the models.

    Args:
        models: what is served.
        metrics: where refusals are counted (`shoal_refused_total{code}`).
        expose: tells the metrics as text and its content type, now or later.
        apps: knows the way to the full-custom apps of models; by default there are none.
        guard: knows who may do what; by default everybody may do everything.
        quotas: count what tenants ask for; by default nobody counts.
        domain: whose sub-domains are services; "" for none.
        rest: whether REST requests are answered; health and metrics are in any case.

    Attributes:
        http: answers HTTP requests.
        rpc: answers gRPC calls.
        health: whether requests should be sent here.
        router: knows all routes.
    """

    def __init__(
        self,
        models: Models,
        *,
        metrics: Metrics,
        expose: Expose,
        apps: Apps | None = None,
        guard: Guard | None = None,
        quotas: Quotas | None = None,
        domain: str = "",
        rest: bool = True,
    ) -> None:
        refusals = Refusals(
            metrics.counter(
                "shoal_refused_total", "Requests refused before a model saw them, by error code.", ("code",)
            )
        )
        guard, naming = guard or Guard(), Naming(domain)
        self.health = Health(models)
        self._repository = Repository()
        self._seeker = Seeker()
        self._watchers = HealthService(models, self.health, refusals, self._seeker, guard, naming)
        self.router = router = (HostRouter if domain else Router)(
            models,
            refusals,
            health=self.health,
            repository=self._repository,
            expose=expose,
            apps={} if apps is None else apps,
            seeker=self._seeker,
            guard=guard,
            quotas=quotas,
            naming=naming,
        )
        self.http: HttpApp = router if rest else OperationsOnly(router, refusals)
        self.rpc = rpc_methods(
            models,
            refusals,
            health=self.health,
            repository=self._repository,
            health_service=self._watchers,
            seeker=self._seeker,
            guard=guard,
            quotas=quotas,
            naming=naming,
        )

    def drain(self) -> None:
        """Say that nothing new should be sent here; end what would never end by itself."""
        self.health.draining = True
        self._watchers.drain()

    async def close(self) -> None:
        """End look-ups, loads, unloads and timers."""
        self._watchers.close()
        await self._seeker.close()
        await self._repository.close()


class OperationsOnly:
    """HTTP for those who run the node, where models are asked over gRPC alone."""

    PATHS = frozenset({b"/metrics", b"/v2/health/live", b"/v2/health/ready"})

    def __init__(self, router: Router, refusals: Refusals) -> None:
        self._router = router
        self._refusals = refusals

    def __call__(self, exchange: Exchange) -> None:
        """See `HttpApp`."""
        if exchange.target.partition(b"?")[0] in self.PATHS:
            self._router(exchange)
        else:
            self._refusals.http(exchange, NotFound("REST is turned off on this node", hint="use gRPC on this port"))
