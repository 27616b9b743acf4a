"""Peers that speak the V2 protocol over REST and gRPC on two ports: MLServer, KServe, Triton."""

from __future__ import annotations

import json

from benchmarks.driver import Request
from benchmarks.peers.base import Launch, Setup, Site, Wire, script, v2_grpc, v2_request

SKLEARN = "mlserver_sklearn.SKLearnModel"


class MLServer:
    """In one process (`parallel_workers: 0`): its worker processes cost it half of its speed."""

    name, environment, interpreter = "mlserver", "mlserver", "python3.11"

    def launch(self, setup: Setup, site: Site) -> Launch:
        folder = site.scratch / f"mlserver-{setup.model}-{setup.batch}"
        (folder / setup.model).mkdir(parents=True, exist_ok=True)
        (folder / "settings.json").write_text(json.dumps(self._settings(site)))
        (folder / setup.model / "model-settings.json").write_text(json.dumps(self._model(setup, site)))
        return Launch((site.tool("mlserver"), "start", str(folder)))

    def _settings(self, site: Site) -> dict[str, object]:
        ports = {"http_port": site.http, "grpc_port": site.grpc, "metrics_port": site.metrics}
        return {"host": "127.0.0.1", **ports, "parallel_workers": 0, "debug": False, "use_structured_logging": False}

    def _model(self, setup: Setup, site: Site) -> dict[str, object]:
        settings: dict[str, object] = {"name": setup.model, "implementation": "mlserver_model.ArrayModel"}
        if setup.model == "iris":
            settings["implementation"] = SKLEARN
            settings["parameters"] = {"uri": str(site.models / "iris.joblib")}
        if setup.batch > 1:
            settings |= {"max_batch_size": setup.batch, "max_batch_time": setup.wait_ms / 1000}
        return settings

    def request(self, setup: Setup, wire: Wire, site: Site) -> Request | None:
        if wire is Wire.BINARY:
            return None
        if wire is Wire.GRPC_RAW and setup.model != "big":  # small tensors: its raw path is no faster
            return v2_grpc(setup, site.grpc, raw=False)
        return v2_request(setup, wire, site)


class KServe:
    """KServe's Python model server."""

    name, environment, interpreter = "kserve", "kserve", "python3.11"

    def launch(self, setup: Setup, site: Site) -> Launch:
        return Launch(script(site, "serve_kserve.py"))

    def request(self, setup: Setup, wire: Wire, site: Site) -> Request | None:
        if wire is Wire.GRPC_RAW and setup.model != "big":
            return v2_grpc(setup, site.grpc, raw=False)
        return v2_request(setup, wire, site)


class PyTriton:
    """Triton needs a Python that its bundled stub can read: Debian's 3.11."""

    name, environment, interpreter = "pytriton", "pytriton", "/usr/bin/python3.11"

    def launch(self, setup: Setup, site: Site) -> Launch:
        return Launch(script(site, "serve_pytriton.py"))

    def request(self, setup: Setup, wire: Wire, site: Site) -> Request | None:
        return v2_request(setup, wire, site)
