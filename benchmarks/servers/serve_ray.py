"""Ray Serve with one replica, access logs off."""

from __future__ import annotations

import asyncio
import logging

import numpy as np
import ray
from loading import BATCH, HTTP_PORT, WAIT_MS, load, rows_of, v2_answer
from ray import serve
from starlette.requests import Request

QUIET = {"enable_access_log": False}
OPTIONS = {"num_replicas": 1, "max_ongoing_requests": 256, "ray_actor_options": {"num_cpus": 1}}


@serve.deployment(**OPTIONS)
class One:
    def __init__(self) -> None:
        self.model = load()

    async def __call__(self, request: Request) -> dict:
        return v2_answer(self.model(rows_of((await request.json())["inputs"][0])))


@serve.deployment(**OPTIONS)
class Batched:
    def __init__(self) -> None:
        self.model = load()

    @serve.batch(max_batch_size=max(BATCH, 2), batch_wait_timeout_s=WAIT_MS / 1000)
    async def run(self, rows: list[np.ndarray]) -> list[np.ndarray]:
        return list(self.model(np.concatenate(rows)))

    async def __call__(self, request: Request) -> dict:
        return v2_answer(np.atleast_1d(await self.run(rows_of((await request.json())["inputs"][0]))))


async def forever() -> None:
    await asyncio.Event().wait()


if __name__ == "__main__":
    memory = 200 * 1024 * 1024
    ray.init(
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=memory,
        logging_level=logging.ERROR,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": HTTP_PORT}, logging_config=QUIET)
    deployment = (Batched if BATCH > 1 else One).options(logging_config=QUIET)
    serve.run(deployment.bind(), name="default", route_prefix="/")
    asyncio.run(forever())
