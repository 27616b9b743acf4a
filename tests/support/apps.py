"""A full-custom app that says who it is, and callers that ask it through a split node."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from shoal.testing.node import RunningNode
from support.processes import children
from support.split import Parts
from support.walking import until

MODEL = """\
class Echo:
    def predict_all(self, inputs: list[str]) -> list[str]:
        return inputs
"""
APP = """\
import json
import os


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    told = {"pid": os.getpid(), "said": "first", "headers": [name.decode() for name, _ in scope["headers"]]}
    body = json.dumps(told).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
FILES = {"model.py": MODEL, "web.py": APP, "model.yaml": "implementation: model:Echo\ntrust: code\napp: web:app\n"}


class Asked:
    """An app, asked over a new connection each time."""

    def __init__(self, node: RunningNode, key: str = "") -> None:
        self.parts = Parts(node)
        self._url = f"{node.url}/models/page/app/about"
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self.statuses: Counter[int] = Counter()

    def answer(self) -> dict[str, object]:
        """What it says; nothing if it is not there."""
        got = requests.get(self._url, headers=self._headers, timeout=10)
        self.statuses[got.status_code] += 1
        return dict(got.json()) if got.status_code == 200 else {}

    def pid(self) -> int:
        """The process that answers; 0 if none does."""
        return int(str(self.answer().get("pid", 0)))

    def at(self) -> str:
        """The proxy whose process answers, once one does."""
        found: list[str] = []
        until(lambda: bool(found.append(self.proxy()) or found[-1]))
        return found[-1]

    def proxy(self) -> str:
        """Whose process answers; "" if none does, or its proxy has just died."""
        pid = self.pid()
        return next((name for name in ("proxy-1", "proxy-2") if pid in children(self.parts.pid(name))), "")

    @contextmanager
    def all_the_time(self) -> Iterator[Counter[int]]:
        """By somebody else as well, for as long as the block lasts; what that one was answered."""
        other, over = Asked.__new__(Asked), threading.Event()
        other.__dict__.update(self.__dict__, statuses=Counter())

        def run() -> None:
            while not over.is_set():
                other.answer()
                time.sleep(0.01)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield other.statuses
        finally:
            over.set()
            thread.join(20)
            assert not thread.is_alive(), "a request hangs"
