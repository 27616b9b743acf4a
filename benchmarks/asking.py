"""How one call is made, and whether its answer is the one that only the right model can give."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Protocol

from benchmarks.calls import Plan
from benchmarks.connection import BadAnswer, Connection
from benchmarks.keeping import Kept
from benchmarks.shelf import name_of
from shoal.testing.faults import oracle

ROW = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[5.1,3.5,1.4,0.2]}]}'


class Asking(Protocol):
    """Makes the calls of a plan."""

    async def ask(self, connection: Connection, number: int) -> None:
        """Raises `BadAnswer` with the reason."""
        ...


class Numbers:
    """Models that answer their own number, or nearly (see `shelf`)."""

    async def ask(self, connection: Connection, number: int) -> None:
        answer = await infer(connection, name_of(number), ROW)
        if round(float(answer)) != number:
            raise BadAnswer(f"model {number} answers {answer}")


class Texts:
    """One model whose answers tell which of its versions has read which text.

    Attributes:
        versions: good answers of each.
    """

    def __init__(self, name: str) -> None:
        self.versions: Counter[str] = Counter()
        self._name = name

    async def ask(self, connection: Connection, number: int) -> None:
        text = f"text {number}"
        body = f'{{"inputs":[{{"name":"x","shape":[1],"datatype":"BYTES","data":["{text}"]}}]}}'
        answer = await infer(connection, self._name, body.encode())
        version = answer.split(":")[1] if answer.count(":") == 2 else ""
        if answer != oracle(text, version):
            raise BadAnswer(f"{text} is answered with {answer[:100]!r}")
        self.versions[version] += 1


class Loading:
    """Numbers from a server that loads and unloads models only when told: so many are kept loaded.

    Who wants a model that is on its way waits for it; who wants one that is just leaving waits until it has left.

    Attributes:
        loads: how often one had to be loaded.
    """

    def __init__(self, limit: int, held: list[int]) -> None:
        self.loads = 0
        self._kept = Kept(limit, held)
        self._numbers = Numbers()
        self._coming: dict[int, asyncio.Event] = {}
        self._leaving: dict[int, asyncio.Event] = {}

    @property
    def held(self) -> list[int]:
        """The models that are loaded."""
        return self._kept.held

    async def ask(self, connection: Connection, number: int) -> None:
        taken = self._kept.take(number)
        try:
            if taken.load:
                await self._load(connection, number, taken.victim)
            elif (coming := self._coming.get(number)) is not None:
                await coming.wait()
            await self._numbers.ask(connection, number)
        finally:
            self._kept.give_back(number)

    async def _load(self, connection: Connection, number: int, victim: int | None) -> None:
        self.loads += 1
        leaving = self._leaving.get(number)
        self._coming[number] = come = asyncio.Event()
        try:
            if victim is not None:
                await self._unload(connection, victim)
            if leaving is not None:
                await leaving.wait()
            await tell(connection, number, "load")
        finally:
            del self._coming[number]
            come.set()

    async def _unload(self, connection: Connection, victim: int) -> None:
        self._leaving[victim] = left = asyncio.Event()
        try:
            await tell(connection, victim, "unload")
        finally:
            del self._leaving[victim]
            left.set()


def asking_for(plan: Plan) -> Asking:
    """What the plan asks for."""
    if plan.text:
        return Texts(plan.text)
    return Loading(plan.keep, plan.held) if plan.keep else Numbers()


async def infer(connection: Connection, name: str, body: bytes) -> str:
    """The only value of the answer."""
    status, answer = await connection.post(f"/v2/models/{name}/infer", body)
    _, found, rest = answer.partition(b'"data":[')
    if status != 200 or not found:
        raise BadAnswer(f"status {status}: {answer[:300]!r}")
    return rest.partition(b"]")[0].strip(b'" ').decode()


async def tell(connection: Connection, number: int, verb: str) -> None:
    """`load` or `unload` a model over the repository API."""
    status, answer = await connection.post(f"/v2/repository/models/{name_of(number)}/{verb}", b"{}")
    if status != 200:
        raise BadAnswer(f"{verb} of model {number} is answered with {status}: {answer[:300]!r}")
