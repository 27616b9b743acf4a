"""FastAPI on uvicorn with uvloop and httptools: what a team writes by hand."""

from __future__ import annotations

from benchmarks.driver import Request
from benchmarks.peers.base import BYTES, JSON, Launch, Setup, Site, Wire, body


class FastApi:
    name, environment, interpreter = "fastapi", "fastapi", "python3.11"

    def launch(self, setup: Setup, site: Site) -> Launch:
        options = ("--host", "127.0.0.1", "--port", str(site.http), "--loop", "uvloop", "--http", "httptools")
        return Launch((site.tool("uvicorn"), "serve_fastapi:app", *options, "--log-level", "warning"))

    def request(self, setup: Setup, wire: Wire, site: Site) -> Request | None:
        address = f"http://127.0.0.1:{site.http}"
        if wire is Wire.JSON:
            return Request(f"{address}/infer", body(setup.model, "v2.json"), JSON)
        if wire is Wire.BINARY:
            return Request(f"{address}/raw", body(setup.model, "raw"), BYTES)
        return None
