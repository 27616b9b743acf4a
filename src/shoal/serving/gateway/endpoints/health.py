"""Whether this node and its models can answer; one opinion for REST, gRPC and `grpc.health.v1`.

The node is *live* while its loop turns. It is *ready* when nothing is loading for the first time and, if it has models
at all, at least one can answer: a model that failed makes itself unready, never its neighbours. A node that drains is
not ready, so that load balancers send nothing new.
"""

from __future__ import annotations

from shoal.core.ports import Models


class Health:
    """Asks the models when asked.

    Attributes:
        draining: set when the node is about to stop.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self.draining = False

    def ready(self) -> bool:
        """Whether the node should be sent requests."""
        return not self.draining and self._models.ready()
