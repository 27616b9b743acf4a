"""A registry and a node that follows it, for tests: push, deploy, call, and know the one right answer."""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
from collections.abc import Callable

from shoal.client import AsyncClient
from shoal.client.control import ControlClient
from shoal.core.errors import NotReady, ShoalError, Unavailable
from shoal.core.registry import FileEntry, Manifest, NewVersion, Version
from shoal.core.service import Service
from shoal.testing.faults import oracle
from shoal.testing.node import RunningNode

ORACLE = b"from shoal.testing.faults import OracleModel\n"
FAULTS = b"from shoal.testing.faults import FaultModel\n"


def push(control: ControlClient, model: str, files: dict[str, bytes], **fields: object) -> Version:
    """Register a version with these files."""
    entries = []
    for path, data in sorted(files.items()):
        digest = hashlib.sha256(data).hexdigest()
        control.upload(digest, io.BytesIO(data), len(data))
        entries.append(FileEntry(path, len(data), digest))
    return control.register(NewVersion(model=model, manifest=Manifest(tuple(entries)), **fields))  # type: ignore[arg-type]


def push_oracle(control: ControlClient, model: str, nonce: str = "", **fields: object) -> Version:
    """Register a version whose answers tell its number and nonce."""
    yaml = f"implementation: model:OracleModel\nparameters: {{nonce: '{nonce}'}}\n".encode()
    return push(control, model, {"model.py": ORACLE, "model.yaml": yaml}, **fields)


def push_faults(control: ControlClient, model: str, settings: str = "", **fields: object) -> Version:
    """Register a version that does what its inputs say; `settings` are further lines of its `model.yaml`."""
    yaml = f"implementation: model:FaultModel\n{settings}".encode()
    return push(control, model, {"model.py": FAULTS, "model.yaml": yaml}, **fields)


def deploy(control: ControlClient, name: str, model: str = "", **fields: object) -> Service:
    """Put a service; it follows the stage `production` unless `ref` says more."""
    service = Service(name=name, model=model or name, **fields)  # type: ignore[arg-type]
    control.put_service(service)
    return service


def right(text: str, version: int, nonce: str = "") -> str:
    """The one right answer of a version of the oracle."""
    return oracle(text, str(version), nonce)


def until(what: Callable[[], bool], seconds: float = 30.0, every: float = 0.05) -> None:
    """Wait for something that real processes bring about."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"it did not come about within {seconds:g} s"
        time.sleep(every)


def ready(control: ControlClient, address: str, version: int | None = None, workers: int = 1) -> bool:
    """Whether a node has reported that the service answers, with this version and at least so many workers."""
    for node in control.nodes():
        for service in node.services:
            if service.address == address and service.state == "READY" and service.ready >= workers:
                return version is None or service.version == str(version)
    return False


class Load:
    """Callers that go on and on, each text its own, and compare every answer.

    Args:
        node: whom to call.
        model: its address.
        versions: the versions that may answer.
        callers: how many at a time.
    """

    def __init__(self, node: RunningNode, model: str, versions: set[int], callers: int = 16) -> None:
        self._node = node
        self._model = model
        self.versions = versions
        self._callers = callers
        self.answered = 0
        self.failures: list[str] = []
        self.wrong: list[str] = []
        self.seen: set[int] = set()
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Load:
        self._client = AsyncClient(self._node.url, retries=0)
        self._tasks = [asyncio.create_task(self._call(number)) for number in range(self._callers)]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)
        await self._client.close()

    async def _call(self, number: int) -> None:
        count = 0
        while not self._stop.is_set():
            count += 1
            text = f"{number}/{count}"
            try:
                (answer,) = await self._client.predict_all(self._model, [text], timeout=30.0)
            except (ShoalError, OSError) as error:
                self.failures.append(f"{text}: {error}")
                continue
            self.answered += 1
            self._check(text, answer)

    def _check(self, text: str, answer: str) -> None:
        for version in self.versions:
            if answer == right(text, version):
                self.seen.add(version)
                return
        self.wrong.append(f"{text}: {answer}")

    def check(self, at_least: int = 1) -> None:
        """Nothing failed, nothing was wrong, and enough was asked."""
        assert not self.failures, self.failures[:3]
        assert not self.wrong, self.wrong[:3]
        assert self.answered >= at_least


def call(node: RunningNode, model: str, text: str, seconds: float = 30.0, version: str | None = None) -> str:
    """One answer of a string model; while it is not ready, again."""
    deadline = time.monotonic() + seconds
    with node.client() as client:
        while True:
            try:
                (answer,) = client.predict_all(model, [text], timeout=seconds, version=version)
                return answer
            except (NotReady, Unavailable):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
