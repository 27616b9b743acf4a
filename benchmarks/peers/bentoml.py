"""BentoML."""

from __future__ import annotations

from benchmarks.driver import Request
from benchmarks.peers.base import JSON, Launch, Setup, Site, Wire, body


class BentoML:
    name, environment, interpreter = "bentoml", "bentoml", "python3.11"

    def launch(self, setup: Setup, site: Site) -> Launch:
        command = (site.tool("bentoml"), "serve", "serve_bentoml:Service", "--host", "127.0.0.1")
        return Launch((*command, "--port", str(site.http)), {"BENTOML_DO_NOT_TRACK": "True"})

    def request(self, setup: Setup, wire: Wire, site: Site) -> Request | None:
        if wire is not Wire.JSON:
            return None
        path = "predict_batched" if setup.batch > 1 else "predict"
        return Request(f"http://127.0.0.1:{site.http}/{path}", body(setup.model, "x.json"), JSON)
