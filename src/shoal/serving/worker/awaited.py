"""Models of whole requests: those of a batch awaited together on one private event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from shoal.core.clock import Clock
from shoal.core.errors import InvalidInput, ModelContract, ShoalError
from shoal.core.types import InferenceRequest, InferenceResponse, Signature
from shoal.serving.adapters.base import RequestAdapter
from shoal.serving.worker import execution
from shoal.serving.worker.items import Item
from shoal.serving.worker.responses import complete
from shoal.serving.worker.styles import Style


class Awaited(Style):
    """One whole request at a time, those of a batch awaited together."""

    def __init__(self, adapter: RequestAdapter, signature: Signature, clock: Clock, *, special: bool) -> None:
        super().__init__(signature, clock, special=special)
        self._adapter = adapter
        self._own: asyncio.AbstractEventLoop | None = None

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        if self._adapter.loop is not None:
            return self._adapter.loop
        if self._own is None:
            self._own = asyncio.new_event_loop()
        return self._own

    def close(self) -> None:
        """Let go of the event loop."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def admit(self, item: Item) -> None:
        """Whatever is well-formed is for the author to judge; NaN is not, unless the model may have it."""
        if self.special:
            return
        for at, (head, data) in enumerate(zip(item.decoded.head.inputs, item.decoded.data, strict=True)):
            if head.datatype in ("FP16", "FP32", "FP64") and not np.isfinite(np.asarray(data)).all():
                raise InvalidInput("a number is not finite", field=f"inputs[{at}].data")

    def run(self, items: Sequence[Item], max_rows: int, seconds: float) -> int:
        wanted = self.still_wanted(list(items))
        if self.batchable:
            self._loop.run_until_complete(self._answer_all(wanted))
        else:
            for item in wanted:
                self._loop.run_until_complete(self._answer_all([item]))
        return len(wanted)

    async def _answer_all(self, items: list[Item]) -> None:
        results = await asyncio.gather(*(self._answer(item) for item in items))
        for item, result in zip(items, results, strict=True):
            item.result = result

    async def _answer(self, item: Item) -> InferenceResponse | ShoalError:
        try:
            decoded = item.decoded
            return complete(await self._adapter.predict(_named(item)), decoded.head, decoded.id)
        except ModelContract as error:
            return error
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a user's code may raise anything
            execution.log_failure(error, self.clock())
            return execution.describe(error)


def _named(item: Item) -> InferenceRequest:
    request = item.decoded.to_request()
    for tensor in request.inputs:
        tensor.name = tensor.name or "inputs"
    return request
