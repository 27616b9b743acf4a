"""What a gateway counts of its proxies."""

from __future__ import annotations

from shoal.core.metrics import Metrics

PROXY = ("proxy",)


class HopInstruments:
    """The families; made once per process from its `Metrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self.calls = metrics.counter(
            "shoal_hop_calls_total", "Requests sent to proxies, retries and hedges included.", PROXY
        )
        self.retries = metrics.counter(
            "shoal_hop_retries_total",
            "Requests tried at another proxy, by why: broken (the connection), refused (by the proxy).",
            ("why",),
        )
        self.held = metrics.counter(
            "shoal_hop_retries_held_total", "Retries that had to wait: for the retry budget, or for a proxy."
        ).labels()
        self.hedges = metrics.counter(
            "shoal_hop_hedges_total", "Requests that took long and were sent to a second proxy as well."
        ).labels()
        self.hedges_won = metrics.counter(
            "shoal_hop_hedges_won_total", "Requests that the second proxy answered first."
        ).labels()
        self.unserved = metrics.counter(
            "shoal_hop_unserved_total", "Requests that no proxy answered, by error code.", ("code",)
        )
        self.ejections = metrics.counter(
            "shoal_hop_ejections_total", "Times that a proxy was ejected because it failed again and again.", PROXY
        )
        self.connections = metrics.gauge(
            "shoal_hop_connections", "Proxies that are connected to this gateway."
        ).labels()
        self.usable = metrics.gauge("shoal_hop_usable_proxies", "Proxies that may be sent requests.").labels()
        self.in_flight = metrics.gauge("shoal_hop_in_flight", "Requests sent to a proxy and not answered.", PROXY)
