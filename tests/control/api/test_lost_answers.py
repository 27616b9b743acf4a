"""Every change through a proxy that loses every other answer: each has its effect once, and its caller gets its answer."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from pathlib import Path

from shoal.client.control import ControlClient
from shoal.core.catalogue import Description, NamespaceChange
from shoal.core.registry import FileEntry, Manifest, NewVersion
from shoal.core.service import Service
from support.controls import listening
from support.lossy import lossy


def test_each_change_happens_once(tmp_path: Path) -> None:
    with listening(tmp_path / "home") as direct, lossy(int(direct.url.rpartition(":")[2])) as (port, lost):
        with ControlClient(f"http://127.0.0.1:{port}", sleep=lambda _: None) as client:
            change(client)
        done = Counter(event.action for event in direct.events(limit=1000).events)
        assert [version.version for version in direct.versions("default", "iris").versions] == [3, 2]
        assert direct.model("default", "iris").stages == {"production": 2}
    assert len(lost) >= 13
    assert done == {
        "namespace.create": 1,
        "version.register": 3,
        "model.describe": 1,
        "stage.move": 5,
        "stage.rollback": 1,
        "version.delete": 1,
        "service.put": 2,
        "service.delete": 1,
    }


def change(client: ControlClient) -> None:
    """Each kind of change, some of which would have another effect when made twice."""
    client.put_namespace("team-a", NamespaceChange(owner="ann"))
    for content in (b"r1", b"r2", b"r3"):
        name = hashlib.sha256(content).hexdigest()
        client.upload(name, io.BytesIO(content), len(content))
        version = client.register(
            NewVersion(model="iris", manifest=Manifest((FileEntry("model.onnx", len(content), name),)))
        )
        assert version.digest
        client.move_stage("default", "iris", "production", "latest")
    assert client.rollback("default", "iris", "production").version == 2
    client.move_stage("default", "iris", "production", "2", comment="again")
    client.move_stage("default", "iris", "staging", "3")
    client.remove_stage("default", "iris", "staging")
    client.describe("default", "iris", Description(owner="ann"))
    client.delete_version("default", "iris", 1)
    client.put_service(Service(name="iris", model="iris"), expected=0)
    assert client.scale("default", "iris", "production", 3).revision == 2
    client.delete_service("default", "iris", "production")
