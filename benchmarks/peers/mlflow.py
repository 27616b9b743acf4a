"""MLflow's own model server (FastAPI on uvicorn)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.driver import Request
from benchmarks.peers.base import JSON, Launch, Setup, Site, Wire, body, script


class MLflow:
    name, environment, interpreter = "mlflow", "mlflow", "python3.11"

    def launch(self, setup: Setup, site: Site) -> Launch:
        folder = site.models / f"mlflow-{setup.model}"
        if not (folder / "MLmodel").exists():
            self._save(setup, site, folder)
        options = ("--env-manager", "local", "-h", "127.0.0.1", "-p", str(site.http))
        path = f"{site.python.parent}{os.pathsep}{os.environ['PATH']}"  # it starts uvicorn by name
        return Launch((site.tool("mlflow"), "models", "serve", "-m", str(folder), *options), {"PATH": path})

    def _save(self, setup: Setup, site: Site, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        variables = {"SHOAL_BENCH_MODELS": str(site.models), "SHOAL_BENCH_MODEL": setup.model}
        command = script(site, "save_mlflow.py", str(folder))
        subprocess.run(command, check=True, env={**os.environ, **variables}, capture_output=True, timeout=120)

    def request(self, setup: Setup, wire: Wire, site: Site) -> Request | None:
        if wire is not Wire.JSON:
            return None
        return Request(f"http://127.0.0.1:{site.http}/invocations", body(setup.model, "inputs.json"), JSON)
