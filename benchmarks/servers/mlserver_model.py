"""The MLServer runtime for the models that have no ready one."""

from __future__ import annotations

from loading import load
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class ArrayModel(MLModel):
    async def load(self) -> bool:
        self.run = load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        answer = NumpyCodec.encode_output("y", self.run(NumpyCodec.decode_input(payload.inputs[0])))
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[answer])
