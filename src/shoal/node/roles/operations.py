"""A port for those who run a proxy: `/metrics`, `/v2/health/live`, `/v2/health/ready`, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from shoal.core.errors import ConfigError
from shoal.core.metrics import Metrics
from shoal.core.ports import Models
from shoal.core.settings.node import NodeSettings, is_loopback
from shoal.core.settings.split import host_and_port
from shoal.serving.gateway.application import Application
from shoal.serving.gateway.sockets.listener import Listener


class Operations:
    """See the module.

    Args:
        settings: of the proxy; `operations` says where.
        models: whose readiness is told.
        metrics: where refusals are counted.
        own: the metrics as text and its content type.
    """

    def __init__(
        self, settings: NodeSettings, models: Models, metrics: Metrics, own: Callable[[], tuple[bytes, bytes]]
    ) -> None:
        try:
            host, port = host_and_port(settings.operations or "")
        except ValueError as error:
            raise ConfigError(f"operations: {error}", field="operations") from error
        if not (is_loopback(host) or settings.allow_remote):
            told = f"refusing to tell metrics on {host}: nobody is authenticated there"
            raise ConfigError(told, hint="name 127.0.0.1, or say --allow-remote to take the risk", field="operations")
        self._application = Application(models, metrics=metrics, expose=lambda tell: tell(*own()), rest=False)
        self._listener = Listener(
            host=host, port=port, http=self._application.http, rpc={}, limits=settings.wire_limits
        )

    async def start(self) -> None:
        """Answer.

        Raises:
            ConfigError: the port cannot be had.
        """
        await self._listener.start()

    def draining(self) -> None:
        """Say that the proxy is not ready any more."""
        self._application.drain()

    async def stop(self) -> None:
        """Answer no more."""
        await self._listener.stop(1.0)
        await self._application.close()
