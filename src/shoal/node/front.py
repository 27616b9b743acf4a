"""The data port of a process, and the application behind it; start and stop. A whole node and a gateway have one."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.internal import api_implementation

from shoal.core.errors import ConfigError
from shoal.core.keyring import DeniedBatch
from shoal.core.metrics import Metrics
from shoal.core.ports import Models
from shoal.core.settings.node import NodeSettings
from shoal.core.settings.tenants import DEFAULT, are_limited, limits_of
from shoal.node.access import Access
from shoal.node.asking import Asking
from shoal.node.control import control_key
from shoal.node.denials import Reporting
from shoal.serving.gateway.application import Application
from shoal.serving.gateway.endpoints.apps import Apps
from shoal.serving.gateway.endpoints.rest import Expose
from shoal.serving.gateway.quotas import Quotas
from shoal.serving.gateway.sockets.listener import Listener
from shoal.serving.gateway.sockets.tls import context_of


class Front:
    """See the module. Made inside a running event loop.

    Args:
        settings: of the process.
        models: what is served.
        metrics: of the process.
        expose: answers `/metrics`.
        control: where control answers that says whom to let in; None where the models are files.
        apps: knows the way to full-custom apps.

    Raises:
        ConfigError: protobuf runs on a backend that is not safe to serve with.
    """

    def __init__(
        self,
        settings: NodeSettings,
        models: Models,
        *,
        metrics: Metrics,
        expose: Expose,
        control: Callable[[], str] | None = None,
        apps: Apps | None = None,
    ) -> None:
        _refuse_slow_protobuf()
        self._settings = settings
        self._asking = Asking(control, key=lambda: control_key(settings)) if control else None
        self._access = Access(settings, self._asking)
        self._reporting = Reporting(self._access.guard.denials, self._send if self._asking else None)
        self._application = Application(
            models,
            metrics=metrics,
            expose=expose,
            guard=self._access.guard,
            quotas=_quotas(settings, metrics),
            apps=apps,
            rest=settings.rest,
            domain=settings.domain,
        )
        self._listener = Listener(
            host=settings.host,
            port=settings.port,
            http=self._application.http,
            rpc=self._application.rpc,
            limits=settings.wire_limits,
            metrics=metrics,
            ssl_context=context_of(settings),
            reuse_port=settings.reuse_port,
        )

    @property
    def url(self) -> str:
        """Where it answers, once started."""
        return self._settings.url(self._listener.port)

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here."""
        return self._application.health.ready()

    async def start(self) -> None:
        """Listen, once it is known whom to let in, as far as that is known here.

        Raises:
            ConfigError: the port cannot be had, or the keys cannot be read.
        """
        self._access.start()
        self._reporting.start()
        await self._listener.start()

    async def settled(self) -> None:
        """Return when control has said whom to let in, or does not seem to."""
        await self._access.settled()

    def draining(self) -> None:
        """Say that nothing new should be sent here."""
        self._application.drain()

    async def stop(self, grace: float) -> bool:
        """No new connections; finish what was accepted within `grace` seconds; whether all of it was."""
        self.draining()
        cut_off = await self._listener.stop(grace)
        await self._application.close()
        await self._access.stop()
        await self._reporting.stop()
        if self._asking:
            self._asking.close()
        return not cut_off

    async def _send(self, batch: DeniedBatch, key: str) -> None:
        assert self._asking is not None
        await self._asking.denied(self._settings.name, batch, key)


def _quotas(settings: NodeSettings, metrics: Metrics) -> Quotas | None:
    """What counts what tenants ask for; None where nobody has a quota."""
    if not are_limited(settings.tenants):
        return None
    default = settings.tenants.get(DEFAULT)
    return Quotas(limits_of(settings.tenants), default.limits if default else None, metrics=metrics)


def _refuse_slow_protobuf() -> None:
    """The pure-Python backend is slow, and deep messages exhaust its stack."""
    if (backend := api_implementation.Type()) != "upb":
        raise ConfigError(
            f"protobuf runs on its {backend!r} backend, which is not safe to serve with",
            hint="unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION, and install protobuf from a wheel",
        )
