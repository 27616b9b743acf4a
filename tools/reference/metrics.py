"""The page of the metrics: the families of nodes that are put together as in service, but never started."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from reference.markdown import code, page, table

from shoal.core.metrics import MAX_CHILDREN, ROWS, SECONDS, AnyFamily, Histogram, Metrics
from shoal.core.settings.node import NodeSettings
from shoal.node.content.routed import Routed
from shoal.node.node import Node
from shoal.node.roles.gateway import GatewayNode
from shoal.node.roles.proxy import ProxyNode
from shoal.node.roles.worker import WorkerNode

INTRODUCTION = """\
`GET /metrics` on the data port, in the text format of Prometheus. A family appears with its first value. Percentiles
are never computed here: histograms are, so that quantiles may be taken over any number of nodes. The node's own
processor time, memory and open files come with them, as `process_cpu_seconds_total`, `process_resident_memory_bytes`,
`process_open_fds` and their like.

A model without a service is told under the name of its pool (`pool:shared`, without a version): a node may serve a
hundred thousand of them. Families of pools (`shoal_pool_...`), of the prediction cache (`shoal_cache_...`) and
`shoal_unserved_total` are those of a node that serves a registry.

A node that is split over processes tells those of all of them, each series with one more label, `process`, such as
`gateway-1`; `shoal_process_up` is 0 for one that did not answer. Families of the hop (`shoal_hop_...`) are those of
such a node. `shoal_hosts`, `shoal_host_batches_total` and `shoal_host_batches_lost_total` are those of a proxy whose
workers are elsewhere, the others of `shoal_host_...` those of a host of workers (`shoal worker`).
"""

QUERIES = {
    "requests per second, by outcome": "sum by (model, outcome) (rate(shoal_requests_total[1m]))",
    "99th percentile of the time in the server": (
        "histogram_quantile(0.99, sum by (le, model) (rate(shoal_request_seconds_bucket[5m])))"
    ),
    "share of that time spent waiting": "rate(shoal_queue_seconds_sum[5m]) / rate(shoal_request_seconds_sum[5m])",
    "rows per batch": "rate(shoal_batch_rows_sum[5m]) / rate(shoal_batch_rows_count[5m])",
    "models loaded into shared pools per second": "sum by (pool) (rate(shoal_pool_loads_total[5m]))",
    "models pushed out of memory by others": 'sum by (pool) (rate(shoal_pool_evictions_total{why="pressure"}[5m]))',
    "share of requests that the prediction cache has answered": (
        'sum by (model) (rate(shoal_cache_requests_total{what=~"hit|joined"}[5m])) '
        "/ sum by (model) (rate(shoal_cache_requests_total[5m]))"
    ),
    "deaths of workers": "sum by (model, reason) (increase(shoal_worker_restarts_total[15m]))",
}


def make() -> str:
    """The page."""
    rows = [(f"`{family.name}`", _kind(family), _labels(family), family.help) for family in families()]
    bounds = "; ".join(
        f"{unit}: {', '.join(f'{bound:g}' for bound in each)}" for unit, each in (("seconds", SECONDS), ("rows", ROWS))
    )
    limits = (
        f"Labels come from the models that are served, never from what a client sends; a family holds at most "
        f"{MAX_CHILDREN:,} label sets, what comes after counts under `other`. Upper bounds of the buckets, in {bounds}."
    )
    return page(
        "Metrics",
        INTRODUCTION,
        table(("name", "type", "labels", "meaning"), rows),
        limits,
        "## What to ask first",
        table(("question", "PromQL"), ((question, code(query)) for question, query in QUERIES.items())),
    )


def families() -> list[AnyFamily]:
    """Every family that a node has, of files or of a registry, whole or split, in the order of their names."""
    with tempfile.TemporaryDirectory() as home:
        named = {family.name: family for family in asyncio.run(_all(home))}
    return [named[name] for name in sorted(named)]


async def _all(home: str) -> list[AnyFamily]:
    said = {"port": 0, "home": home, "name": "node", "control": "http://127.0.0.1:9"}
    said |= {"proxies_at": home, "workers_at": home}
    tenants = {"default": {"rate": 1}}
    settings, registry = NodeSettings.model_validate({**said, "tenants": tenants}), Metrics()
    parts = (
        Node(settings, [Path()]),
        GatewayNode(settings),
        ProxyNode(settings, [Path()]),
        WorkerNode(settings, [Path()]),
    )
    await Routed(settings, registry).stop(0.0)
    return [family for metrics in (registry, *(part.metrics for part in parts)) for family in metrics.families]


def _kind(family: AnyFamily) -> str:
    child = family.labels(*family.label_names)
    return "histogram" if isinstance(child, Histogram) else type(child).__name__.lower()


def _labels(family: AnyFamily) -> str:
    return ", ".join(f"`{name}`" for name in family.label_names)
