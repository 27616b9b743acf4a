"""The figures, by number. Each module's `measure` gives rows one by one, so that a later failure loses none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.figures import (
    big_tensor,
    cold_start,
    iris_grpc,
    iris_json,
    lone_caller,
    many_connections,
    many_models,
    mlp_batching,
    placement,
    registry_scale,
    rolling,
    split,
    start_and_memory,
)
from benchmarks.lab import Lab
from benchmarks.summary import Row

FIGURES: dict[int, Callable[[Lab], Iterator[Row]]] = {
    1: iris_json.measure,
    2: iris_grpc.measure,
    3: mlp_batching.measure,
    4: lone_caller.measure,
    5: big_tensor.measure,
    6: start_and_memory.measure,
    7: many_connections.measure,
    8: registry_scale.measure,
    9: cold_start.measure,
    10: many_models.measure,
    11: rolling.measure,
    12: placement.measure,
    13: split.measure,
}
