"""The confinement of a node's workers, from its settings; and the metric that tells of it."""

from __future__ import annotations

from shoal.core.confinement import MEANS
from shoal.core.metrics import Metrics
from shoal.core.settings.node import NodeSettings
from shoal.serving.pool.confining.confiner import Confiner


def confiner_of(settings: NodeSettings, metrics: Metrics) -> Confiner | None:
    """What confines the workers; None: nothing, as the settings say."""
    rules = settings.confinement.rules
    family = metrics.gauge(
        "shoal_worker_confinement",
        "Whether workers are confined by this means: 1 or 0; without a value no worker has started yet.",
        ("means",),
    )
    if rules is None:
        for means in MEANS:
            family.labels(means).set(0.0)
        return None
    return Confiner(rules, lambda means, holds: family.labels(means).set(float(holds)))
