"""A model that tells each caller what the adapter's call looked like: how large, when, by which thread, beside whom."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODEL = '''\
import json
import os
import threading
import time
from pathlib import Path

from shoal import ItemError, Model


class Meter(Model):
    """Takes `base_ms` for a call and `item_ms` for each text; "+N" takes N ms more, "bad..." is refused."""

    def load(self):
        self.lock, self.inside, self.most = threading.Lock(), 0, 0
        self.note("(load)")
        time.sleep(self.parameters.get("load_ms", 0) / 1000)

    def predict_all(self, inputs):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.note(*inputs)
        started, cpu = time.perf_counter(), time.process_time()
        self.work(inputs)
        spent = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
        with self.lock:
            self.inside -= 1
        told = {"size": len(inputs), "most": self.most, "thread": threading.get_ident(), "pid": os.getpid(), **spent}
        return [
            ItemError(f"{text} is refused") if text.startswith("bad") else json.dumps({"text": text, **told})
            for text in inputs
        ]

    def work(self, inputs):
        more = sum(float(text[1:]) for text in inputs if text.startswith("+"))
        time.sleep((self.parameters.get("base_ms", 0) + self.parameters.get("item_ms", 0) * len(inputs) + more) / 1000)
        sum(range(self.parameters.get("spin", 0)))

    def note(self, *lines):
        with Path(self.parameters["journal"]).open("a") as journal:
            journal.writelines(f"{line}\\n" for line in lines)
'''


def meter(
    folder: Path,
    name: str,
    *,
    batching: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    **parameters: float,
) -> Path:
    """Write such a model into a folder of models; returns its journal, which holds every text that was started."""
    home = folder / name
    home.mkdir(parents=True)
    journal = folder.with_name(f"{folder.name}-{name}.journal")
    settings = {
        "runtime": "python",
        "implementation": "model:Meter",
        "trust": "code",
        "batchable": True,
        "parameters": {**parameters, "journal": str(journal)},
        "batching": dict(batching or {}),
        "limits": dict(limits or {}),
    }
    (home / "model.py").write_text(MODEL)
    (home / "model.yaml").write_text(json.dumps(settings))
    return journal


def may_write(folder: Path) -> dict[str, str]:
    """The environment of a node whose workers may write the journals of the models in this folder."""
    return {"SHOAL_CONFINEMENT__USERS": "", "SHOAL_CONFINEMENT__WRITABLE": str(folder.parent)}


def started(journal: Path) -> list[str]:
    """What the model was given so far, in order; "(load)" for each load."""
    return journal.read_text().splitlines() if journal.exists() else []
