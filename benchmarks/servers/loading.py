"""Loads the benchmark's models inside a peer's process, the same way for all peers.

Every model is a function from an array of rows (float32) to an array with one row of answers each. The folder comes
from ``SHOAL_BENCH_MODELS``; ``iris.joblib`` was made by the scikit-learn of the very environment that loads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

Model = Callable[[object], np.ndarray]

FOLDER = Path(os.environ["SHOAL_BENCH_MODELS"])
NAME = os.environ.get("SHOAL_BENCH_MODEL", "iris")
BATCH = int(os.environ.get("SHOAL_BENCH_BATCH", "1"))
WAIT_MS = int(os.environ.get("SHOAL_BENCH_WAIT_MS", "0"))
HTTP_PORT = int(os.environ.get("SHOAL_BENCH_HTTP_PORT", "0"))
GRPC_PORT = int(os.environ.get("SHOAL_BENCH_GRPC_PORT", "0"))
METRICS_PORT = int(os.environ.get("SHOAL_BENCH_METRICS_PORT", "0"))

SHAPES = {"iris": (4,), "mlp": (256,), "big": (3, 224, 224)}
WIDTHS = {"iris": 1, "mlp": 10, "big": 1000}


def iris() -> Model:
    """A scikit-learn classifier: (n, 4) to (n,) labels."""
    import joblib

    classifier = joblib.load(FOLDER / "iris.joblib")
    return lambda rows: classifier.predict(np.asarray(rows, dtype=np.float32))


def mlp() -> Model:
    """An ONNX network on one thread: (n, 256) to (n, 10)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(FOLDER / "mlp.onnx"), options, providers=["CPUExecutionProvider"])
    return lambda rows: session.run(None, {"x": np.asarray(rows, dtype=np.float32)})[0]


def big() -> Model:
    """Stands for an image model that costs nothing: (n, 3, 224, 224) to the first 1,000 values of each."""
    return lambda rows: np.asarray(rows, dtype=np.float32).reshape(-1, 3 * 224 * 224)[:, :1000]


def load(name: str = NAME) -> Model:
    """The model of that name."""
    return {"iris": iris, "mlp": mlp, "big": big}[name]()


def rows_of(tensor: dict) -> np.ndarray:
    """A V2 JSON input tensor as an array."""
    return np.asarray(tensor["data"], dtype=np.float32).reshape(tensor["shape"])


def v2_answer(values: np.ndarray) -> dict:
    """A V2 JSON answer with one output tensor."""
    values = np.asarray(values, dtype=np.float32)
    output = {"name": "y", "shape": list(values.shape), "datatype": "FP32", "data": values.ravel().tolist()}
    return {"model_name": NAME, "outputs": [output]}
