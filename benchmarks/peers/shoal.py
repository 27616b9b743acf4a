"""Shoal at its default settings, and the reference plane."""

from __future__ import annotations

import dataclasses

from benchmarks.driver import Request
from benchmarks.paths import HERE, MODELS, SHOAL
from benchmarks.peers.base import Launch, Setup, Site, Wire, v2_request


class Shoal:
    """`shoal serve` on a folder of model files; one port for everything. `batch` 1 is the model with `max_size: 1`.

    Args:
        name: in the table.
        options: further ones of `shoal serve`.
    """

    environment, interpreter = "", ""

    def __init__(self, name: str = "shoal", *options: str) -> None:
        self.name = name
        self._options = options

    def launch(self, setup: Setup, site: Site) -> Launch:
        folder = MODELS / f"shoal-{setup.model}{'-single' if setup.batch == 1 and setup.model == 'mlp' else ''}"
        return Launch((str(SHOAL), "serve", str(folder), "--port", str(site.http), "--trust", *self._options))

    def request(self, setup: Setup, wire: Wire, site: Site) -> Request | None:
        return v2_request(setup, wire, dataclasses.replace(site, grpc=site.http))


class ReferencePlane:
    """The floor: the same technique with no limits, no errors, no metrics."""

    name, environment, interpreter = "reference", "", ""

    def launch(self, setup: Setup, site: Site) -> Launch:
        program = HERE / "reference_plane.py"
        model = site.models / {"iris": "iris.joblib", "mlp": "mlp.onnx"}[setup.model]
        limit = {"iris": "64", "mlp": "32"}[setup.model]
        command = (str(site.python), str(program), str(site.http), str(model), limit)
        return Launch(command, {"OMP_NUM_THREADS": "1"})

    def request(self, setup: Setup, wire: Wire, site: Site) -> Request | None:
        if wire in (Wire.JSON, Wire.GRPC_RAW):
            return v2_request(setup, wire, dataclasses.replace(site, grpc=site.http))
        return None
