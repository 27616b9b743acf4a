"""NVIDIA Triton, the C++ server, with a Python function behind it through nvidia-pytriton."""

from __future__ import annotations

import numpy as np
from loading import BATCH, GRPC_PORT, HTTP_PORT, METRICS_PORT, NAME, SHAPES, WAIT_MS, WIDTHS, load
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

predict = load()


@batch
def infer(x: np.ndarray) -> dict[str, np.ndarray]:
    return {"y": np.asarray(predict(x), dtype=np.float32).reshape(len(x), -1)}


if __name__ == "__main__":
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=HTTP_PORT,
        grpc_address="127.0.0.1",
        grpc_port=GRPC_PORT,
        metrics_port=METRICS_PORT,
        log_verbose=0,
    )
    batcher = DynamicBatcher(max_queue_delay_microseconds=WAIT_MS * 1000 if BATCH > 1 else 0)
    with Triton(config=config) as triton:
        triton.bind(
            model_name=NAME,
            infer_func=infer,
            inputs=[Tensor(name="x", dtype=np.float32, shape=SHAPES[NAME])],
            outputs=[Tensor(name="y", dtype=np.float32, shape=(WIDTHS[NAME],))],
            config=ModelConfig(max_batch_size=BATCH, batching=True, batcher=batcher),
        )
        triton.serve()
