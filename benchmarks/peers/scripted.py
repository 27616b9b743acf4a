"""Peers that a script of ours starts, taking the V2 JSON body on a path of their own: mosec, LitServe, Ray Serve."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.driver import Request
from benchmarks.peers.base import JSON, Launch, Setup, Site, Wire, body, script


@dataclass(frozen=True)
class Scripted:
    """A peer whose server reads `SHOAL_BENCH_...` (see `servers/loading.py`) and answers on `path`."""

    name: str
    path: str
    arguments: tuple[str, ...] = ()
    interpreter: str = "python3.11"

    @property
    def environment(self) -> str:
        return self.name

    def launch(self, setup: Setup, site: Site) -> Launch:
        arguments = (word.format(port=site.http) for word in self.arguments)
        return Launch(script(site, f"serve_{self.name}.py", *arguments), {"RAY_USAGE_STATS_ENABLED": "0"})

    def request(self, setup: Setup, wire: Wire, site: Site) -> Request | None:
        if wire is not Wire.JSON:
            return None
        return Request(f"http://127.0.0.1:{site.http}{self.path}", body(setup.model, "v2.json"), JSON)


MOSEC = Scripted("mosec", "/inference", ("--address", "127.0.0.1", "--port", "{port}"))
LITSERVE = Scripted("litserve", "/predict")
RAY = Scripted("ray", "/")
