"""What a namespace may hold: no change passes a limit, whoever comes with it and with whom together."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shoal.control.registry import Registry, open_registry
from shoal.core.clock import ManualClock
from shoal.core.errors import NotFound, QuotaExceeded, ShoalError, StorageQuotaExceeded
from shoal.core.quotas import UNLIMITED, Holding, Limits
from shoal.core.service import Service
from support.postgres import Postgres
from support.registrations import new

THREADS = 24
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # nothing here cuts the power


@contextmanager
def limited(url: str, **limits: int) -> Iterator[Registry]:
    """A registry in which `team` is limited, and nobody else."""
    bound = Limits(**limits)
    opened = open_registry(url, clock=ManualClock(), limits=lambda name: bound if name == "team" else UNLIMITED)
    opened.create_namespace("team")
    try:
        yield opened
    finally:
        opened.close()


def at_once(act: Callable[[int], object]) -> list[object]:
    gate = Barrier(THREADS)

    def one(at: int) -> object:
        gate.wait(30)
        try:
            return act(at)
        except ShoalError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(THREADS)))


def test_of_many_who_push_new_models_as_many_get_in_as_there_is_room_for(url: str) -> None:
    with limited(url, models=5) as registry:
        told = at_once(lambda at: registry.register(new(f"m{at}", namespace="team")))
        assert sum(isinstance(each, QuotaExceeded) for each in told) == THREADS - 5
        assert registry.usage("team").used == Holding(models=5, versions=5, bytes=15)
        assert len(registry.models("team")) == 5
        assert registry.position() == 6, "what was refused has left something in the feed"
        assert [registry.register(new(f"m{at}")).version for at in range(6)] == [1] * 6, "others are bound, too"


def test_of_many_versions_as_many_get_in_as_there_are_bytes_for(url: str) -> None:
    with limited(url, bytes=10) as registry:
        told = at_once(lambda at: registry.register(new(content=f"c{at:03}", namespace="team")))
        assert sum(isinstance(each, StorageQuotaExceeded) for each in told) == THREADS - 2
        assert registry.usage("team").used.bytes == 8


def test_a_batch_that_does_not_fit_leaves_nothing(url: str) -> None:
    with limited(url, versions=3) as registry:
        registry.register(new(content="0", namespace="team"))
        with pytest.raises(QuotaExceeded, match="may hold 3 versions, and holds 1: 3 more do not fit"):
            registry.register_many([new(content=text, namespace="team") for text in "abc"])
        assert registry.usage("team").used.versions == 1


def test_deleting_makes_room_for_models_and_versions_and_forgetting_for_bytes(url: str) -> None:
    with limited(url, models=1, versions=1, bytes=4) as registry:
        registry.register(new("one", content="abcd", namespace="team"))
        registry.delete_model("team", "one")
        with pytest.raises(StorageQuotaExceeded, match="may hold 4 bytes, and holds 4"):
            registry.register(new("two", content="abcd", namespace="team"))
        registry.purge(0)
        registry.register(new("two", content="abcd", namespace="team"))
        with pytest.raises(QuotaExceeded, match="models"):
            registry.register(new("one", content="", namespace="team"))  # a tombstone that would live again


def test_what_is_there_already_is_answered_whatever_the_limit(url: str) -> None:
    with limited(url, models=1, versions=1, bytes=3) as registry:
        first = registry.register(new(version=1, namespace="team"), key="k")
        assert registry.register(new(version=1, namespace="team")) == first
        assert registry.register(new(version=1, namespace="team"), key="k") == first
        registry.move_stage("team", "iris", "production", 1)


def test_services_are_bound_and_those_that_are_there_may_change(url: str) -> None:
    with limited(url, services=2) as registry:
        registry.register(new(namespace="team"))

        def service(name: str, **fields: str) -> Service:
            return Service(name=name, namespace="team", model="iris", **fields)

        told = at_once(lambda at: registry.put_service(service(f"s{at}")))
        assert sum(isinstance(each, QuotaExceeded) for each in told) == THREADS - 2
        names = [each.service.name for each in registry.services(namespace="team")]
        registry.put_service(service(names[0], description="changed"))
        registry.delete_service("team", names[1])
        registry.put_service(service("another"))
        with pytest.raises(QuotaExceeded, match="services"):
            registry.put_service(service(names[1]))


def test_room_is_told_before_anything_is_sent(url: str) -> None:
    with limited(url, models=1, versions=2, bytes=10) as registry:
        registry.check_room("team", "iris", 10)
        registry.register(new(namespace="team"))
        registry.check_room("team", "iris", 7)
        with pytest.raises(StorageQuotaExceeded):
            registry.check_room("team", "iris", 8)
        with pytest.raises(QuotaExceeded, match="models"):
            registry.check_room("team", "rose", 0)
        with pytest.raises(NotFound):
            registry.check_room("nowhere", "iris", 0)


def test_two_servers_that_share_a_postgres_keep_one_limit(postgres: Postgres) -> None:
    with postgres.schema() as url:
        servers = [open_registry(url, limits=lambda name: Limits(models=5)) for _ in range(2)]
        told = at_once(lambda at: servers[at % 2].register(new(f"m{at}")))
        assert sum(isinstance(each, QuotaExceeded) for each in told) == THREADS - 5
        assert servers[0].usage("default").used.models == 5
        for each in servers:
            each.close()


class QuotaMachine(RuleBasedStateMachine):
    """Whatever is registered, deleted and forgotten: the usage is what a dictionary says, and within the limits."""

    @initialize(models=st.integers(0, 2), versions=st.integers(0, 4), size=st.integers(0, 9))
    def start(self, models: int, versions: int, size: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="shoal-quotas-", dir=MEMORY))
        self.limits = Limits(models=models, versions=versions, bytes=size)
        self.registry = open_registry(
            f"sqlite:///{self.folder}/registry.db", clock=ManualClock(), limits=lambda name: self.limits
        )
        self.alive: dict[str, dict[int, int]] = {}
        self.buried: list[int] = []

    @rule(model=st.sampled_from(["a", "b", "c"]), size=st.integers(0, 3))
    def register(self, model: str, size: int) -> None:
        now = self._held()
        more = Holding(models=int(model not in self.alive), versions=1, bytes=size)
        wanted = [(getattr(now, kind), getattr(more, kind), kind) for kind in ("models", "versions", "bytes")]
        fits = all(not added or used + added <= getattr(self.limits, kind) for used, added, kind in wanted)
        try:
            number = self.registry.register(new(model, content="x" * size)).version
        except QuotaExceeded:
            assert not fits
        else:
            assert fits
            self.alive.setdefault(model, {})[number] = size

    @rule(model=st.sampled_from(["a", "b", "c"]))
    def delete_model(self, model: str) -> None:
        if model in self.alive:
            self.registry.delete_model("default", model)
            self.buried += self.alive.pop(model).values()

    @rule(model=st.sampled_from(["a", "b", "c"]))
    def delete_newest(self, model: str) -> None:
        if self.alive.get(model):
            number = max(self.alive[model])
            self.registry.delete_version("default", model, number)
            self.buried.append(self.alive[model].pop(number))

    @rule()
    def forget(self) -> None:
        self.registry.purge(0)
        self.buried.clear()

    @rule(models=st.integers(0, 2), size=st.integers(0, 9))
    def change_limits(self, models: int, size: int) -> None:
        self.limits = Limits(models=models, versions=self.limits.versions, bytes=size)

    @invariant()
    def usage_is_what_the_dictionary_says(self) -> None:
        assert self.registry.usage("default").used == self._held()

    def _held(self) -> Holding:
        sizes = [size for each in self.alive.values() for size in each.values()]
        return Holding(models=len(self.alive), versions=len(sizes), bytes=sum(sizes) + sum(self.buried))

    def teardown(self) -> None:
        if hasattr(self, "registry"):
            self.registry.close()
            shutil.rmtree(self.folder)


TestQuotas = QuotaMachine.TestCase
TestQuotas.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
