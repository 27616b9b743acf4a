"""A server that speaks as much of MLflow's REST API as an import needs, and can be told to misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

ROOT = "1/models/m-1/artifacts"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


class FakeMlflow:
    """What the server answers; each attribute may be changed before it is asked.

    Attributes:
        version: the model version, as JSON.
        uri: where its files are.
        run: the run, or None: it was deleted.
        files: bytes by path below `ROOT`.
        lists: instead of true lists, by folder below `ROOT`.
        answers: instead of true answers, by path: status, headers, body.
        seen: path and headers of each request.
    """

    def __init__(self) -> None:
        self.version: dict[str, Any] = {"name": "iris", "version": "3", "status": "READY", "run_id": "r1"}
        self.uri = f"mlflow-artifacts:/{ROOT}"
        self.run: dict[str, Any] | None = {"data": {"params": [{"key": "C", "value": "2"}]}}
        self.files: dict[str, bytes] = {"MLmodel": b"flavors: {}", "data/model.skops": b"weights"}
        self.lists: dict[str, Any] = {}
        self.answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []

    def answer(self, target: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a path with its query."""
        parts = urlsplit(target)
        queue = self.answers.get(parts.path, [])
        if queue:
            return queue.pop(0) if len(queue) > 1 else queue[0]
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path.startswith(f"{ARTIFACTS}/{ROOT}/"):
            data = self.files.get(parts.path[len(f"{ARTIFACTS}/{ROOT}/") :])
            return (200, {}, data) if data is not None else (404, {}, b"{}")
        told = self._told(parts.path, query)
        return (200, {}, json.dumps(told).encode()) if told is not None else _missing()

    def _told(self, path: str, query: dict[str, str]) -> Any:
        if path == ARTIFACTS:
            folder = query["path"].removeprefix(ROOT).strip("/")
            listed = self.lists.get(folder)
            return listed(query) if callable(listed) else listed or {"files": self._list(folder)}
        name = path.removeprefix("/api/2.0/mlflow/")
        if name in ("model-versions/get", "registered-models/alias") and query["name"] == "iris":
            return {"model_version": self.version} if query.get("version", "3") == "3" else None
        if name == "model-versions/get-download-uri":
            return {"artifact_uri": self.uri}
        return {"run": self.run} if name == "runs/get" and self.run is not None else None

    def _list(self, folder: str) -> list[dict[str, Any]]:
        below = f"{folder}/" if folder else ""
        rest = {path[len(below) :]: data for path, data in self.files.items() if path.startswith(below)}
        folders = sorted({path.split("/")[0] for path in rest if "/" in path})
        files = [
            {"path": path, "is_dir": False, "file_size": len(data)} for path, data in rest.items() if "/" not in path
        ]
        return files + [{"path": each, "is_dir": True} for each in folders]


def _missing() -> tuple[int, dict[str, str], bytes]:
    return 404, {}, json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such thing\x1b[2J"}).encode()


@contextmanager
def running(fake: FakeMlflow) -> Iterator[str]:
    """The URL of a fake that runs on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.seen.append((self.path, dict(self.headers)))
            status, headers, body = fake.answer(self.path)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
