"""LitServe with one worker process."""

from __future__ import annotations

import litserve
import numpy as np
from loading import BATCH, HTTP_PORT, WAIT_MS, load, rows_of, v2_answer


class Api(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = load()

    def decode_request(self, request: dict) -> np.ndarray:
        rows = rows_of(request["inputs"][0])
        return rows[0] if BATCH > 1 else rows  # LitServe stacks the items of a batch itself

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.model(rows)

    def encode_response(self, answer: np.ndarray) -> dict:
        return v2_answer(np.atleast_1d(answer))


if __name__ == "__main__":
    api = Api(max_batch_size=BATCH, batch_timeout=WAIT_MS / 1000)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=HTTP_PORT, num_api_servers=1, generate_client_file=False, log_level="warning")
