"""mosec: a Rust front with dynamic batching before Python workers."""

from __future__ import annotations

import numpy as np
from loading import BATCH, WAIT_MS, load, rows_of, v2_answer
from mosec import Server, Worker


class One(Worker):
    def __init__(self) -> None:
        super().__init__()
        self.predict = load()

    def forward(self, data: dict) -> dict:
        return v2_answer(self.predict(rows_of(data["inputs"][0])))


class Batched(One):
    def forward(self, data: list[dict]) -> list[dict]:
        answers = self.predict(np.concatenate([rows_of(each["inputs"][0]) for each in data]))
        return [v2_answer(answer[None]) for answer in answers]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Batched if BATCH > 1 else One, num=1, max_batch_size=BATCH, max_wait_time=max(WAIT_MS, 1))
    server.run()
