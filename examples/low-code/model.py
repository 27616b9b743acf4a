"""Amounts in any currency become euros: one whole request at a time, those of a batch awaited together.

`Rates` stands for whatever a model has to wait for: a feature store, a database, another service.
"""

import asyncio
import json
from pathlib import Path

import numpy as np

from shoal import InferenceRequest, InferenceResponse, Model, NumpyCodec, StringCodec


class Rates:
    """Euros per unit of a currency, from a file that is read when it has changed."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.stamp = 0
        self.rates: dict[str, float] = {}

    async def get(self) -> dict[str, float]:
        stamp = self.file.stat().st_mtime_ns
        if stamp != self.stamp:
            self.rates = json.loads(await asyncio.to_thread(self.file.read_text))
            self.stamp = stamp
        return self.rates


class Euros(Model):
    async def load(self) -> bool:
        self.rates = Rates(self.path / "rates.json")
        return bool(await self.rates.get())

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        inputs = {each.name: each for each in payload.inputs}
        amounts = NumpyCodec.decode_input(inputs["amount"])
        rates = await self.rates.get()
        factors = [rates.get(currency, np.nan) for currency in StringCodec.decode_input(inputs["currency"])]
        known = ~np.isnan(factors)
        euros = np.where(known, amounts * np.nan_to_num(factors), 0.0).round(2)
        return InferenceResponse([NumpyCodec.encode_output("euros", euros), NumpyCodec.encode_output("known", known)])
