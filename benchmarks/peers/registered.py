"""Shoal with a registry: `shoal serve` on a home, with a control of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from benchmarks.driver import Request
from benchmarks.paths import SHOAL
from benchmarks.peers.base import JSON, Launch, Setup, Site, Wire, body


@dataclass(frozen=True)
class RegisteredModels:
    """A node that serves what a home holds; its control listens on the third port of the site.

    Attributes:
        home: folder of the registry and the artifacts.
        pools: of its settings; empty for the defaults.
    """

    home: Path
    pools: Mapping[str, object] = field(default_factory=dict)
    name: str = "shoal"
    environment: str = ""
    interpreter: str = ""

    def launch(self, setup: Setup, site: Site) -> Launch:
        settings = self.home / "shoal.yaml"
        settings.write_text(yaml.safe_dump({"pools": dict(self.pools)} if self.pools else {}))
        ports = ("--port", str(site.http), "--control-port", str(site.metrics))
        where = ("--home", str(self.home), "--config", str(settings))
        return Launch((str(SHOAL), "serve", *where, *ports, "--trust"))

    def request(self, setup: Setup, wire: Wire, site: Site) -> Request | None:
        """Four numbers, over REST."""
        if wire is not Wire.JSON:
            return None
        return Request(f"http://127.0.0.1:{site.http}/v2/models/{setup.model}/infer", body("iris", "v2.json"), JSON)
