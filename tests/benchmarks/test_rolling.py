from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from benchmarks import versions as module
from benchmarks.calls import Outcome
from benchmarks.figures import rolling
from benchmarks.figures.rolling import Change
from benchmarks.lab import Lab
from benchmarks.versions import NAME, TookTooLong, Versions
from shoal.core.catalogue import NodeHealth, ServiceEntry
from shoal.core.registry import NewVersion
from shoal.core.routes import ServiceStatus
from shoal.core.service import Service


class FakeControl:
    """Remembers what it is told; the node does at once what it is asked for, or never."""

    def __init__(self, *, obeyed: bool = True) -> None:
        self.told: list[object] = []
        self.blobs: set[str] = set()
        self.registered: list[NewVersion] = []
        self._obeyed = obeyed
        self._stage = "0"
        self._service = Service(name=NAME, model=NAME)

    def upload(self, sha256: str, file: Any, size: int) -> None:
        assert len(file.read()) == size
        self.blobs.add(sha256)

    def register(self, new: NewVersion) -> None:
        self.registered.append(new)

    def put_service(self, service: Service) -> None:
        self._service = service
        self.told.append((service.ref, service.replicas))

    def move_stage(self, namespace: str, name: str, stage: str, ref: str) -> None:
        self._stage = ref
        self.told.append(ref)

    def scale(self, namespace: str, name: str, environment: str, replicas: int) -> None:
        self.put_service(Service(name=NAME, model=NAME, ref=self._service.ref, replicas=replicas))

    def service(self, namespace: str, name: str, environment: str) -> ServiceEntry:
        ref, count = self._service.ref, self._service.replicas
        version = self._stage if ref == "production" else ref
        ready = count if self._obeyed else 0
        status = ServiceStatus(address=NAME, state="READY", version=version, wanted=count, ready=ready)
        return ServiceEntry(service=self._service, revision=1, health=(NodeHealth(node="n", url="", status=status),))


def test_the_versions_differ_in_their_files() -> None:
    control = FakeControl()
    versions = Versions(control)  # type: ignore[arg-type]
    versions.push(1)
    versions.push(2)
    first, second = control.registered
    assert (first.version, second.version) == (1, 2)
    assert first.manifest.digest != second.manifest.digest
    assert {file.sha256 for new in (first, second) for file in new.manifest.files} == control.blobs


def test_each_change_goes_there_and_back() -> None:
    control = FakeControl()
    told = {}
    for change in rolling.changes(Versions(control)):  # type: ignore[arg-type]
        change.prepare()
        control.told.clear()
        change.step(0)
        change.step(1)
        told[change.what] = list(control.told)
    assert list(told.values()) == [[("2", 2), ("1", 2)], ["2", "1"], [("1", 20), ("1", 2), ("1", 20), ("1", 2)]]


def test_a_change_that_is_never_seen_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 0.05)
    monkeypatch.setattr(module, "POLL", 0.01)
    versions = Versions(FakeControl(obeyed=False))  # type: ignore[arg-type]
    with pytest.raises(TookTooLong, match="version 1 x 2 is awaited, and there is"):
        versions.wait(version=1, workers=2)


def test_only_changes_that_were_done_under_load_count() -> None:
    load: Future[Outcome] = Future()
    made: list[int] = []

    def step(done: int) -> None:
        made.append(done)
        if done == 2:
            load.set_result(Outcome(times=[1.0], seconds=1.0, cpu_seconds=0.0))

    assert rolling.repeat(Change("changes", lambda: None, step), load) == 2
    assert made == [0, 1, 2]


@pytest.mark.parametrize(("failures", "met"), [(0, True), (1, False)])
def test_one_failure_misses_the_target(failures: int, met: bool) -> None:
    outcome = Outcome(times=[1.0, 2.0], seconds=1.0, cpu_seconds=0.0, failed=failures)
    row = rolling.failed(Lab(), "failed of 2 requests", outcome, cpu=0.5)
    assert (row.met, row.ours and row.ours.value.median) == (met, float(failures))
