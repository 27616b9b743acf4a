"""Cold models with no server around them: `python -m benchmarks.unserved FILE...` prints a time in ms for each.

What a perfect server would take: scikit-learn is imported, another model has been used, and what remains is to load a
file and to predict once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.paths import HERE, PYTHON

ROW = [[5.1, 3.5, 1.4, 0.2]]


def measure(files: Sequence[Path], core: int | None = 0) -> list[float]:
    """Load and predict, each in turn, in a process of its own; the first file is only there to warm up."""
    pinned = () if core is None else ("taskset", "-c", str(core))
    command = (*pinned, str(PYTHON), "-m", "benchmarks.unserved", *map(str, files))
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE.parent, env=variables)
    times: list[float] = json.loads(done.stdout)
    return times


def main(files: Sequence[str]) -> None:
    """Prints one JSON list."""
    import joblib

    times = []
    for file in files:
        begun = time.perf_counter()
        joblib.load(file).predict(ROW)
        times.append(1000 * (time.perf_counter() - begun))
    print(json.dumps(times[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
