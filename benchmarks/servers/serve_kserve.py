"""KServe's model server with its access and latency logs off (both cost it a quarter of its speed)."""

from __future__ import annotations

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve import logging as kserve_logging
from loading import GRPC_PORT, HTTP_PORT, NAME, load


class ArrayModel(Model):
    def __init__(self) -> None:
        super().__init__(NAME)
        self.run = load()
        self.ready = True

    def predict(self, payload: InferRequest, headers=None, response_headers=None) -> InferResponse:
        answer = np.asarray(self.run(payload.inputs[0].as_numpy()), dtype=np.float32)
        output = InferOutput("y", list(answer.shape), "FP32")
        output.set_data_from_numpy(answer, binary_data=bool(getattr(payload, "use_binary_outputs", False)))
        return InferResponse(payload.id or "0", self.name, [output])


def quiet() -> None:
    for name in ("uvicorn.access", "kserve.trace"):
        if name in kserve_logging.KSERVE_LOG_CONFIG["loggers"]:
            kserve_logging.KSERVE_LOG_CONFIG["loggers"][name]["level"] = "ERROR"


if __name__ == "__main__":
    quiet()
    server = ModelServer(
        workers=1,
        http_port=HTTP_PORT,
        grpc_port=GRPC_PORT,
        enable_grpc=True,
        enable_docs_url=False,
        enable_latency_logging=False,
        access_log_format=None,
    )
    server.start([ArrayModel()])
