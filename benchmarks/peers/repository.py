"""MLServer with a repository of many models: those that are there at its start are loaded, others when it is told."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.driver import Request
from benchmarks.paths import BODIES
from benchmarks.peers.base import JSON, Launch, Setup, Site, Wire
from benchmarks.peers.v2 import SKLEARN
from benchmarks.shelf import FILE, Content, name_of

REST = "rest"
"""Folder in a repository for models that came after its start."""
NOTHING = BODIES / "nothing.json"


@dataclass(frozen=True)
class Repository:
    """MLServer in one process, as in `v2.MLServer`.

    Attributes:
        direct: with a repository that finds a model without reading the settings of all the others
            (`servers/direct_repository.py`), rather than its own.
        root: the folder of its models.
    """

    direct: bool
    root: Path
    environment: str = "mlserver"
    interpreter: str = "python3.11"

    @property
    def name(self) -> str:
        return name_with(self.direct)

    def launch(self, setup: Setup, site: Site) -> Launch:
        NOTHING.parent.mkdir(parents=True, exist_ok=True)
        NOTHING.write_text("{}")
        ports = {"http_port": site.http, "grpc_port": site.grpc, "metrics_port": site.metrics}
        settings = {
            "host": "127.0.0.1",
            **ports,
            "parallel_workers": 0,
            "debug": False,
            "use_structured_logging": False,
            "load_models_at_startup": True,
        }
        if self.direct:
            settings["model_repository_implementation"] = "direct_repository.DirectRepository"
        (self.root / "settings.json").write_text(json.dumps(settings))
        return Launch((site.tool("mlserver"), "start", str(self.root)))

    def request(self, setup: Setup, wire: Wire, site: Site) -> Request | None:
        """Loads the model: it is ready when this is answered."""
        url = f"http://127.0.0.1:{site.http}/v2/repository/models/{setup.model}/load"
        return Request(url, NOTHING, JSON) if wire is Wire.JSON else None


def name_with(direct: bool) -> str:
    """What it is called, with which repository."""
    return "mlserver, repository of our making" if direct else "mlserver"


def fill(root: Path, first: range, every: range, content: Content) -> Path:
    """Write the first models into the repository, and the rest beside it, unless they are there; says where."""
    rest = root.with_name(f"{root.name}-{REST}")
    if (root / REST).exists():  # left by a run that was killed
        (root / REST).rename(rest)
    _fill(root, first, content)
    _fill(rest, range(first.stop, every.stop), content)
    return rest


def _fill(folder: Path, numbers: range, content: Content) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    there = {each.name for each in os.scandir(folder)}
    for number in numbers:
        if name_of(number) not in there:
            _write(number, content(number), folder / name_of(number))


def _write(number: int, content: bytes, folder: Path) -> None:
    folder.mkdir()
    (folder / FILE).write_bytes(content)
    settings = {"name": name_of(number), "implementation": SKLEARN}  # its file is found by its usual name
    (folder / "model-settings.json").write_text(json.dumps(settings))
