"""A whole control in this process, over SQLite and a folder, asked through its API without a socket."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from shoal.control.api.app import create_app
from shoal.control.api.feed import FeedWatch
from shoal.control.control import Control
from shoal.control.main import opened
from shoal.core.settings.control import ControlSettings

HOST = "http://127.0.0.1:8081"

T = TypeVar("T")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def manifest(**files: bytes) -> dict[str, Any]:
    """The manifest of files by name; `__` stands for a dot."""
    entries = [
        {"path": name.replace("__", "."), "size": len(content), "sha256": sha256(content)}
        for name, content in files.items()
    ]
    return {"files": sorted(entries, key=lambda each: str(each["path"]))}


class World:
    """See the module. Requests run on one event loop, which stands still between them.

    Attributes:
        certificate: the name in the certificate that requests come with, as TLS would tell it; "" for none.
    """

    def __init__(self, control: Control, runner: asyncio.Runner) -> None:
        self.control = control
        self.watch = FeedWatch(control.registry.position, control.settings.waiters)
        self.app = create_app(control, watch=self.watch)
        self.certificate = ""
        self._runner = runner
        transport = httpx.ASGITransport(app=self._connected)
        self.http = httpx.AsyncClient(transport=transport, base_url=HOST)

    async def _connected(self, scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = {"certificate": self.certificate}
        await self.app(scope, receive, send)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.run(self.http.request(method, path, **more))

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a successful GET."""
        answer = self.ask("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def problem(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        """Status and code of a refusal, which has all the fields that errors have."""
        answer = self.ask(method, path, **more)
        told = answer.json()
        assert set(told) == {"error", "code", "hint", "field", "request_id"}, told
        assert told["error"]
        assert told["request_id"] == answer.headers["x-request-id"]
        return answer.status_code, told["code"]

    def store(self, content: bytes) -> str:
        name = sha256(content)
        assert self.ask("PUT", f"/v1/blobs/{name}", content=content).status_code == 204
        return name

    def push(self, content: bytes = b"r1", model: str = "iris", namespace: str = "default", **fields: Any) -> Any:
        """Register a version of one file."""
        self.store(content)
        body = {"namespace": namespace, "model": model, "manifest": manifest(model__onnx=content), **fields}
        answer = self.ask("POST", f"/v1/models/{namespace}/{model}/versions", json=body)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def move(self, stage: str, ref: str | int, model: str = "iris") -> Any:
        answer = self.ask("PUT", f"/v1/models/default/{model}/stages/{stage}", json={"ref": str(ref)})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def deploy(self, name: str = "iris", environment: str = "production", **fields: Any) -> Any:
        service = {"name": name, "environment": environment, "model": "iris", **fields}
        answer = self.ask("PUT", f"/v1/services/default/{name}/{environment}", json={"service": service})
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def world(home: Path, **settings: Any) -> Iterator[World]:
    """A control with its home in a folder, until the end of the `with` block."""
    with opened(ControlSettings(home=home, **settings)) as control, asyncio.Runner() as runner:
        made = World(control, runner)
        yield made
        made.watch.close()
        runner.run(made.http.aclose())
