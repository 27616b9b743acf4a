"""FastAPI by hand, as one would write it for speed: async handlers, one pydantic model, raw bytes for large tensors."""

from __future__ import annotations

import numpy as np
from fastapi import FastAPI, Request, Response
from loading import NAME, SHAPES, load, v2_answer
from pydantic import BaseModel

app = FastAPI()
predict = load()


class Tensor(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class Inference(BaseModel):
    inputs: list[Tensor]


@app.post("/infer")
async def infer(request: Inference) -> dict:
    tensor = request.inputs[0]
    return v2_answer(predict(np.array(tensor.data, dtype=np.float32).reshape(tensor.shape)))


@app.post("/raw")
async def raw(request: Request) -> Response:
    rows = np.frombuffer(await request.body(), dtype=np.float32).reshape(1, *SHAPES[NAME])
    return Response(np.ascontiguousarray(predict(rows)).tobytes(), media_type="application/octet-stream")
