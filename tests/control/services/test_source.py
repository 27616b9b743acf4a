"""A folder of service files as the source: the registry becomes what the files say."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from shoal.control.services.resolving import Resolver
from shoal.control.services.source import ACTOR, Source, follow
from shoal.control.services.watching import Refusal
from shoal.core.settings.services import load_service_file
from support.registered import push


def replicas(registry: Any) -> dict[str, int]:
    return {record.service.address: record.service.replicas for record in registry.services()}


def source(folder: Path, registry: Any) -> tuple[Source, list[Refusal]]:
    told: list[Refusal] = []
    return Source(folder, registry, refused=told.append), told


def look(watched: Source) -> None:
    watched.look()
    watched.look()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "services"
    found.mkdir()
    return found


def test_services_come_change_and_go_with_their_files(folder: Path, registry: Any) -> None:
    file = folder / "iris.yaml"
    file.write_text("name: iris\nenvironments: {staging: {}, production: {replicas: 2}}\n")
    watched, told = source(folder, registry)
    watched.look()
    assert replicas(registry) == {"iris": 2, "iris+staging": 1}
    file.write_text("name: iris\nreplicas: 5\n")
    look(watched)
    assert replicas(registry) == {"iris": 5}
    file.unlink()
    look(watched)
    assert replicas(registry) == {}
    assert told == []


def test_a_bad_edit_is_refused_once_and_the_old_one_stays(folder: Path, registry: Any) -> None:
    file = folder / "iris.yaml"
    file.write_text("name: iris\nreplicas: 2\n")
    watched, told = source(folder, registry)
    watched.look()
    for text in ("name: iris\nreplcas: 3\n", "name: iris\nrep", "name: [\n", "", "name: iris\nreplicas: -1\n"):
        file.write_text(text)
        for _ in range(3):
            look(watched)
        assert replicas(registry) == {"iris": 2}
    assert (len(told), watched.rejected) == (5, 5)
    assert told[0].subject == "iris.yaml"
    assert "iris.yaml:2: replcas: there is no such field; did you mean `replicas`?" in told[0].reason
    file.write_text("name: iris\nreplicas: 4\n")
    look(watched)
    assert replicas(registry) == {"iris": 4}


def test_what_the_registry_refuses_is_told_once_and_tried_again(folder: Path, registry: Any) -> None:
    (folder / "iris.yaml").write_text("name: iris\nnamespace: team-a\n")
    (folder / "wine.yaml").write_text("name: wine\n")
    watched, told = source(folder, registry)
    for _ in range(3):
        look(watched)
    assert replicas(registry) == {"wine": 1}
    assert [each.subject for each in told] == ["iris@team-a"]
    registry.create_namespace("team-a")
    look(watched)
    assert replicas(registry) == {"wine": 1, "iris@team-a": 1}


def test_an_edit_that_would_end_what_is_served_waits_for_its_version(folder: Path, registry: Any) -> None:
    push(registry, "iris", stages=("production",))
    file = folder / "iris.yaml"
    file.write_text("name: iris\n")
    watched, told = source(folder, registry)
    watched.look()
    for text in ("name: iris\nversion: 2\n", "name: iris\nstage: candidate\n", "name: iris\nmodel: irs\n"):
        file.write_text(text)
        look(watched)
        assert Resolver(registry).resolve("iris").target
    assert len(told) == 3
    assert all("iris would not be served any more" in each.reason for each in told)
    file.write_text("name: iris\nversion: 2\n")
    look(watched)
    push(registry, "iris")
    look(watched)
    target = Resolver(registry).resolve("iris").target
    assert target
    assert target.version == "2"


def test_what_left_the_folder_while_nobody_looked_is_deleted(folder: Path, registry: Any) -> None:
    (folder / "iris.yaml").write_text("name: iris\n")
    (folder / "wine.yaml").write_text("name: wine\n")
    source(folder, registry)[0].look()
    registry.put_service(load_service_file(folder / "iris.yaml").services["production"], actor="ann")
    (folder / "wine.yaml").unlink()
    by_hand = registry.services()[0].service
    registry.put_service(type(by_hand)(name="by-hand", model="x"), actor="ann")
    source(folder, registry)[0].look()
    assert set(replicas(registry)) == {"iris", "by-hand"}
    assert {record.actor for record in registry.services()} == {ACTOR, "ann"}


def test_nothing_is_written_while_nothing_changes(folder: Path, registry: Any) -> None:
    (folder / "iris.yaml").write_text("name: iris\n")
    watched, _ = source(folder, registry)
    watched.look()
    position = registry.position()
    for _ in range(3):
        watched.look()
    source(folder, registry)[0].look()
    assert registry.position() == position


def test_both_ways_give_the_same_routes(folder: Path, registry: Any) -> None:
    push(registry, "iris", stages=["production", "staging"])
    text = "name: iris\nfeatures: [a]\nenvironments:\n  staging: {stage: staging}\n  production: {cpu: 500m}\n"
    (folder / "iris.yaml").write_text(text)
    source(folder, registry)[0].look()
    resolver = Resolver(registry)
    by_folder = [resolver.resolve(each) for each in ("iris", "iris+staging")]
    for record in registry.services():
        registry.delete_service("default", record.service.name, record.service.environment)
    for service in load_service_file(folder / "iris.yaml").services.values():
        registry.put_service(service)
    by_command = [resolver.resolve(each) for each in ("iris", "iris+staging")]
    assert [(each.service, each.target) for each in by_folder] == [(each.service, each.target) for each in by_command]


def test_it_is_followed_until_cancelled(folder: Path, registry: Any) -> None:
    watched, _ = source(folder, registry)
    watched.look()
    looks = 0

    async def sleep(seconds: float) -> None:
        nonlocal looks
        assert seconds == 1.0
        looks += 1
        if looks == 2:
            (folder / "iris.yaml").write_text("name: iris\n")
        if looks == 5:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(follow(watched, 1.0, sleep=sleep))
    assert replicas(registry) == {"iris": 1}


def test_refusals_are_logged(folder: Path, registry: Any, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "iris.yaml").write_text("nmae: iris\n")
    with caplog.at_level(logging.WARNING):
        Source(folder, registry).look()
    assert "iris.yaml:1: nmae: there is no such field" in caplog.text
