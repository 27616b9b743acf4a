"""A route becomes a `ModelSpec`: files, signature, downloads, settings."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.control.artifacts.blobs import Blob
from shoal.control.artifacts.cache import ArtifactCache
from shoal.control.environments.environments import Environments
from shoal.core.errors import ConfigError, CorruptArtifact, NotReady, ShoalError
from shoal.core.registry import FileEntry, Manifest
from shoal.core.routes import Fetched, Route, Target
from shoal.core.service import Autoscaling, Service
from shoal.node.content.preparing import Preparing
from shoal.serving.hosting.entry import Prepared
from shoal.testing.stores import MemoryStore, name_of

MODEL = b"class Shout:\n    def predict_all(self, inputs):\n        return [text.upper() for text in inputs]\n"
YAML = b"trust: code\nbatching: {max_size: 8}\nlimits: {timeout_seconds: 5}\nparameters: {greeting: hello}\n"


class World:
    """A preparer whose files come from a store in memory."""

    def __init__(self, home: Path) -> None:
        self.store = MemoryStore()
        self.cache = ArtifactCache(home / "cache", self.store, 1 << 30)
        self.services = home / "services"
        self.preparing = Preparing(self.cache, Environments(home / "environments"), self.services)

    def target(self, files: dict[str, bytes], version: str = "1", trust: str = "code", **more: object) -> Target:
        entries = []
        for path, data in files.items():
            self.store.put(*Blob(name_of(data), len(data), io.BytesIO(data)))
            entries.append(FileEntry(path, len(data), name_of(data)))
        manifest = Manifest(tuple(sorted(entries, key=lambda each: each.path)))
        return Target(
            namespace="default",
            model="shout",
            version=version,
            digest=manifest.digest,
            manifest=manifest,
            trust=trust,  # type: ignore[arg-type]
            **more,  # type: ignore[arg-type]
        )

    def prepare(self, route: Route, version: str = "") -> Prepared:
        return asyncio.run(self.preparing.prepare(route, version))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.preparing.close()
    made.cache.close()


def service(**changes: object) -> Service:
    return Service(name="shout", model="shout", **changes)  # type: ignore[arg-type]


def test_a_models_own_settings_hold_and_the_services_are_laid_over_them(world: World) -> None:
    route = Route(
        service=service(
            environment="staging",
            replicas=3,
            cpu=1.5,
            memory_bytes=512 * 1024**2,
            timeout_seconds=2.0,
            variables={"COLOUR": "red"},
            batching={"max_wait_ms": 5.0},
            parameters={"name": "Ada"},
        ),
        target=world.target({"model.py": MODEL, "model.yaml": YAML}, "4"),
    )
    prepared = world.prepare(route)
    spec = prepared.spec
    assert (spec.name, spec.version, spec.runtime, spec.tenant) == ("shout+staging", "4", "python", "default")
    assert (spec.batching.max_size, spec.batching.max_wait_ms) == (8, 5.0)
    assert (spec.limits.timeout_seconds, spec.limits.workers, spec.limits.threads) == (2.0, 3, 2)
    assert (spec.limits.memory_bytes, spec.limits.cpu) == (512 * 1024**2, 1.5)
    assert spec.environment == {"COLOUR": "red"}
    assert spec.parameters == {"greeting": "hello", "name": "Ada"}
    assert spec.digest == route.target.digest  # type: ignore[union-attr]
    assert Path(spec.path, "model.py").read_bytes() == MODEL
    prepared.release()


@pytest.mark.parametrize(("said", "told", "has"), [("", None, None), ("true", None, True), ("true", False, False),
                                                   ("", True, True), ("false", True, True)])  # fmt: skip
def test_what_control_says_of_the_network_counts(world: World, said: str, told: bool | None, has: bool | None) -> None:
    yaml = YAML + (f"network: {said}\n".encode() if said else b"")
    route = Route(service=service(), target=world.target({"model.py": MODEL, "model.yaml": yaml}), network=told)
    prepared = world.prepare(route)
    assert prepared.spec.network is has
    prepared.release()


def test_a_version_that_a_caller_names_gets_a_seat_whatever_the_service_has(world: World) -> None:
    route = Route(service=service(replicas=3), target=world.target({"model.py": MODEL, "model.yaml": YAML}))
    assert world.prepare(route, "1").spec.placement == "shared"
    assert world.prepare(route).spec.placement == "dedicated"


def test_a_service_that_may_have_no_worker_starts_with_one(world: World) -> None:
    scaling = Autoscaling(min_replicas=0, max_replicas=4)
    route = Route(service=service(autoscaling=scaling), target=world.target({"model.py": MODEL, "model.yaml": YAML}))
    assert world.prepare(route).spec.limits.workers == 1


def test_code_without_trust_is_refused_where_it_would_run(world: World) -> None:
    route = Route(service=service(), target=world.target({"model.py": MODEL}, trust=""))
    with pytest.raises(ConfigError, match="not trusted"):
        world.prepare(route)


def test_settings_that_do_not_fit_say_so(world: World) -> None:
    route = Route(
        service=service(batching={"max_size": "many"}), target=world.target({"model.py": MODEL, "model.yaml": YAML})
    )
    with pytest.raises(ConfigError, match="batching"):
        world.prepare(route)


def test_no_version_is_no_model(world: World) -> None:
    with pytest.raises(NotReady, match="points at nothing"):
        world.prepare(Route(service=service(), target=None, reason="stage production points at nothing"))


def test_further_files_are_put_below_the_services_folder_before_it_starts(world: World) -> None:
    tokenizer = world.target({"tokens.txt": b"a b c"}, "2")
    route = Route(
        service=service(),
        target=world.target({"model.py": MODEL, "model.yaml": YAML}),
        downloads=(Fetched(target=tokenizer, dest_path="/comet"),),
    )
    spec = world.prepare(route).spec
    root = Path(spec.environment["SHOAL_ARTIFACTS"])
    assert root == world.services / "default" / "production" / "shout"
    assert (root / "comet" / "tokens.txt").read_bytes() == b"a b c"
    newer = world.target({"tokens.txt": b"d e f"}, "3")
    world.prepare(
        Route(service=route.service, target=route.target, downloads=(Fetched(target=newer, dest_path="/comet"),))
    )
    assert (root / "comet" / "tokens.txt").read_bytes() == b"d e f"


def test_a_destination_that_leads_out_is_refused(world: World) -> None:
    target = world.target({"model.py": MODEL, "model.yaml": YAML})
    route = Route(service=service(), target=target, downloads=(Fetched(target=target, dest_path="../../etc"),))
    with pytest.raises(ConfigError, match="leads out"):
        world.prepare(route)


def test_a_signature_that_is_asked_for_must_be_there_and_right(world: World) -> None:
    key = "-----BEGIN PUBLIC KEY-----\nnot a key\n-----END PUBLIC KEY-----\n"
    target = world.target({"model.py": MODEL, "model.yaml": YAML}, trusted_keys=(key,))
    with pytest.raises(ShoalError):
        world.prepare(Route(service=service(), target=target))


def test_wrong_bytes_are_never_loaded(world: World) -> None:
    target = world.target({"model.py": MODEL, "model.yaml": YAML})
    world.store.content[name_of(MODEL)] = b"import os\n"
    with pytest.raises(CorruptArtifact):
        world.prepare(Route(service=service(), target=target))


def test_where_workers_are_elsewhere_no_environment_is_built(world: World) -> None:
    preparing = Preparing(world.cache, None, world.services)
    route = Route(service=service(requirements="nothing==1"), target=world.target({"model.py": b"class M: ..."}))
    assert asyncio.run(preparing.prepare(route, "")).spec.python == ""
    preparing.close()
