"""The page of the metrics: the families of a node that is put together as in service, but never started."""

from __future__ import annotations

import asyncio
from pathlib import Path

from reference.markdown import code, page, table

from shoal.core.metrics import MAX_CHILDREN, ROWS, SECONDS, AnyFamily, Histogram
from shoal.core.settings.node import NodeSettings
from shoal.node import Node

INTRODUCTION = """\
`GET /metrics` on the data port, in the text format of Prometheus. A family appears with its first value. Percentiles
are never computed here: histograms are, so that quantiles may be taken over any number of nodes. The node's own
processor time, memory and open files come with them, as `process_cpu_seconds_total`, `process_resident_memory_bytes`,
`process_open_fds` and their like.
"""

QUERIES = {
    "requests per second, by outcome": "sum by (model, outcome) (rate(shoal_requests_total[1m]))",
    "99th percentile of the time in the server": (
        "histogram_quantile(0.99, sum by (le, model) (rate(shoal_request_seconds_bucket[5m])))"
    ),
    "share of that time spent waiting": "rate(shoal_queue_seconds_sum[5m]) / rate(shoal_request_seconds_sum[5m])",
    "rows per batch": "rate(shoal_batch_rows_sum[5m]) / rate(shoal_batch_rows_count[5m])",
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
    """Every family that a node has, in the order of their names."""

    async def made() -> list[AnyFamily]:
        return Node(NodeSettings.model_validate({"port": 0}), [Path()]).metrics.families

    return sorted(asyncio.run(made()), key=lambda family: family.name)


def _kind(family: AnyFamily) -> str:
    child = family.labels(*family.label_names)
    return "histogram" if isinstance(child, Histogram) else type(child).__name__.lower()


def _labels(family: AnyFamily) -> str:
    return ", ".join(f"`{name}`" for name in family.label_names)
