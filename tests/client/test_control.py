"""The client of control, method by method, against one that listens."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.client.control import ControlClient
from shoal.core.catalogue import CollectRequest, Description, NamespaceChange
from shoal.core.errors import Conflict, CorruptArtifact, InvalidInput, NotFound, PermissionDenied
from shoal.core.registry import FileEntry, Manifest, NewVersion, Policy, Version
from shoal.core.routes import NodeStatus, ServiceStatus
from shoal.core.service import Service
from support.controls import listening


@pytest.fixture
def client(tmp_path: Path) -> Iterator[ControlClient]:
    with listening(tmp_path / "home") as made:
        yield made


def push(client: ControlClient, content: bytes = b"r1", model: str = "iris", **fields: str) -> Version:
    name = hashlib.sha256(content).hexdigest()
    if client.missing([name]):
        client.upload(name, io.BytesIO(content), len(content))
    manifest = Manifest((FileEntry("model.onnx", len(content), name),))
    return client.register(NewVersion(model=model, manifest=manifest, **fields))


def test_versions_and_stages(client: ControlClient) -> None:
    first, second = push(client, b"r1", alias="0.1.0"), push(client, b"r2")
    assert (first.version, second.version) == (1, 2)
    assert client.version("default", "iris", "0.1.0") == client.version("default", "iris", "1")
    assert client.move_stage("default", "iris", "production", "1", comment="go").version == 1
    assert client.move_stage("default", "iris", "production", "latest", expected=1).previous == 1
    with pytest.raises(Conflict):
        client.move_stage("default", "iris", "production", "1", expected=1)
    assert client.rollback("default", "iris", "production", expected=2).version == 1
    assert [move.version for move in client.stage_history("default", "iris", "production")] == [1, 2, 1]
    assert client.remove_stage("default", "iris", "production").version == 0
    assert client.describe("default", "iris", Description(owner="ann")).owner == "ann"
    assert client.describe_version("default", "iris", 1, Description(description="first")).description == "first"
    client.delete_version("default", "iris", 1)
    assert [each.version for each in client.versions("default", "iris").versions] == [2]
    assert len(client.versions("default", "iris", deleted=True).versions) == 2
    client.delete_model("default", "iris")
    with pytest.raises(NotFound, match="deleted"):
        client.model("default", "iris")


def test_models_are_searched_and_walked(client: ControlClient) -> None:
    manifest = push(client).model and client.manifest(push(client).digest)
    client.register_many([NewVersion(model=f"m{n:03}", manifest=manifest) for n in range(30)])
    assert len(list(client.all_models())) == 31
    assert [each.name for each in client.models(search="m00", limit=3).models] == ["m000", "m001", "m002"]


def test_files_go_up_and_down_with_progress(client: ControlClient) -> None:
    content = bytes(range(256)) * 4096
    name, told = hashlib.sha256(content).hexdigest(), []
    client.upload(name, io.BytesIO(content), len(content), told.append)
    assert told == sorted(told)
    assert (told[-1], client.has_blob(name)) == (len(content), True)
    target = io.BytesIO(b"what was there before")
    client.download(name, target, told.append)
    assert target.getvalue() == content
    with pytest.raises(NotFound):
        client.download("0" * 64, io.BytesIO())
    with pytest.raises(CorruptArtifact):
        client.upload("0" * 64, io.BytesIO(content), len(content))
    assert client.has_blob("0" * 64) is False


def test_a_blob_that_rots_is_seen(client: ControlClient, tmp_path: Path) -> None:
    version = push(client)
    entry = client.manifest(version.digest).files[0]
    (blob,) = (each for each in (tmp_path / "home/artifacts").rglob(entry.sha256))
    blob.chmod(0o644)
    blob.write_bytes(b"rX")
    with pytest.raises(CorruptArtifact):
        client.download(entry.sha256, io.BytesIO())


def test_an_archive_is_unpacked_there(client: ControlClient) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in (("iris/model.onnx", b"r1"), ("iris/notes.txt", b"hello")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    size = out.seek(0, 2)
    found = client.send_archive("iris.tar.gz", out, size)
    assert (found.runtime, found.code, [each.path for each in found.manifest.files]) == (
        "onnx",
        "",
        ["model.onnx", "notes.txt"],
    )
    assert client.register(NewVersion(model="iris", manifest=found.manifest)).digest == found.digest
    with pytest.raises(InvalidInput):
        client.send_archive("iris.zip", io.BytesIO(b"no zip"), 6)


def test_services(client: ControlClient) -> None:
    push(client)
    client.move_stage("default", "iris", "production", "1")
    service = Service(name="iris", model="iris", replicas=2)
    assert client.changes(service)
    entry = client.put_service(service, expected=0)
    assert entry == client.service("default", "iris", "production")
    assert client.changes(service) == ()
    assert client.scale("default", "iris", "production", 3).service.replicas == 3
    client.put_service(Service(name="iris", environment="staging", model="iris"))
    assert {each.path for each in client.differences("iris", "staging", "production")} == {"replicas"}
    assert client.promote("default", "iris", "staging", "production").service.ref == "1"
    status = ServiceStatus(address="iris", state="READY", ready=3, wanted=3)
    client.report(NodeStatus(node="n1", url="http://n1", services=(status,)))
    assert [each.status for each in client.service("default", "iris", "production").health] == [status]
    assert [each.node for each in client.nodes()] == ["n1"]
    assert client.route("iris").target is not None
    assert client.route("iris", "1").service.ref == "1"
    assert {route.service.environment for route in client.desired()} == {"production", "staging"}
    assert len(client.desired("staging")) == 1
    client.delete_service("default", "iris", "staging")
    assert [each.service.environment for each in client.services(namespace="default").services] == ["production"]
    assert [each.deleted for each in client.service_history("default", "iris", "staging")] == [True, False]


def test_namespaces_and_upkeep(client: ControlClient) -> None:
    policy = Policy(required_lineage=("dataset",))
    assert client.put_namespace("team-a", NamespaceChange(owner="ann", policy=policy)).policy == policy
    assert client.namespace("team-a").owner == "ann"
    assert [each.name for each in client.namespaces()] == ["default", "team-a"]
    push(client)
    assert client.events(limit=1).events[0].action == "version.register"
    assert client.ready().models == 1
    assert client.collect(CollectRequest(dry_run=True)).blobs == 0


def test_a_refusal_is_an_error_of_the_domain(client: ControlClient) -> None:
    content = b"\x80\x04N."
    name = hashlib.sha256(content).hexdigest()
    client.upload(name, io.BytesIO(content), len(content))
    new = NewVersion(model="x", manifest=Manifest((FileEntry("m.pkl", len(content), name),)))
    with pytest.raises(PermissionDenied) as error:
        client.register(new)
    assert "--trust" in error.value.hint
    assert error.value.request_id


def test_the_feed_is_waited_for(client: ControlClient) -> None:
    found = []
    waiting = threading.Thread(target=lambda: found.append(client.feed(0, wait=30)))
    waiting.start()
    push(client)
    waiting.join(10)
    assert [change.name for change in found[0].changes] == ["iris"]
    assert client.feed(found[0].position).changes == ()
    client.close()
