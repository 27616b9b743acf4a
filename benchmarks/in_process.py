"""The model with no server around it: `python -m benchmarks.in_process MODEL ROWS SECONDS` prints rate and median time.

This is what a perfect server would reach on one core: the same libraries, one thread, calls back to back.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.paths import HERE, MODELS, PYTHON


@dataclass(frozen=True)
class Alone:
    """Rows per second, and the median time of one call in milliseconds."""

    rate: float
    call_ms: float


def measure(model: str, rows: int, seconds: float, core: int | None = 0) -> Alone:
    """Runs the model in a process of its own, on the core that servers get."""
    pinned = () if core is None else ("taskset", "-c", str(core))
    command = (*pinned, str(PYTHON), "-m", "benchmarks.in_process", model, str(rows), str(seconds))
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE.parent, env=variables)
    return Alone(**json.loads(done.stdout))


def _predict(model: str) -> Callable[[object], object]:
    if model == "iris":
        import joblib

        predict: Callable[[object], object] = joblib.load(MODELS / "iris.joblib").predict
        return predict
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(MODELS / f"{model}.onnx"), options)
    return lambda rows: session.run(None, {"x": rows})


def main(model: str, rows: int, seconds: float) -> None:
    """Prints one JSON object."""
    import numpy as np

    from benchmarks.models import arrays

    predict, batch = _predict(model), np.repeat(arrays()[model], rows, axis=0)
    for _ in range(20):
        predict(batch)
    times, begun = [], time.perf_counter()
    while (before := time.perf_counter()) - begun < seconds:
        predict(batch)
        times.append(time.perf_counter() - before)
    print(json.dumps({"rate": rows * len(times) / sum(times), "call_ms": 1000 * statistics.median(times)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
