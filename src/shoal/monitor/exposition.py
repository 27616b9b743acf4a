"""Our metrics as Prometheus text, written by prometheus-client.

Histograms are classic ones (`_bucket`, `_sum`, `_count`), so that any Prometheus can take quantiles over many nodes;
percentiles are never computed here. Names and label values are escaped by prometheus-client. The node's own processor
time, memory and open files come with them under the names that all exporters use (``process_cpu_seconds_total``, ...).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from shoal.core.metrics import AnyFamily, Counter, Gauge, Histogram, Metrics

_process = ProcessCollector(registry=None)
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4.encode()


def render(metrics: Metrics) -> bytes:
    """All families as text; its content type is `CONTENT_TYPE`."""
    return generate_latest(_Snapshot(metrics))


def expose(metrics: Metrics) -> tuple[bytes, bytes]:
    """The text, with that of this process, and its content type, as the gateway wants them."""
    return render(metrics) + generate_latest(_process), CONTENT_TYPE


class _Snapshot(Collector):
    """What prometheus-client asks for the metrics of this moment."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return (metric for family in self._metrics.families for metric in _translate(family))


def _translate(family: AnyFamily) -> Iterator[Metric]:
    """The family as prometheus-client has it; nothing for a family without children, whose kind is not known yet."""
    children: list[tuple[tuple[str, ...], Any]] = list(family.children.items())
    if not children:
        return
    kind = type(children[0][1])
    metric = _KINDS[kind](family.name, family.help, labels=family.label_names)
    for values, child in children:
        if kind is Histogram:
            metric.add_metric(values, _buckets(child), child.sum)
        else:
            metric.add_metric(values, child.value)
    yield metric


_KINDS: dict[type, Any] = {
    Counter: CounterMetricFamily,
    Gauge: GaugeMetricFamily,
    Histogram: HistogramMetricFamily,
}


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Cumulative counts by upper bound, the last one ``+Inf``."""
    bounds = [repr(bound) for bound in histogram.bounds]
    return list(zip([*bounds, "+Inf"], map(float, accumulate(histogram.counts)), strict=True))
