"""Many at once: each gets one answer, and all answers fit together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from shoal.control.registry import Registry, open_registry
from shoal.core.clock import ManualClock
from shoal.core.errors import Conflict, ShoalError
from support.postgres import Postgres
from support.registrations import new

THREADS = 50


def _at_once(act: Callable[[int], object]) -> list[object]:
    gate = Barrier(THREADS)

    def one(at: int) -> object:
        gate.wait(30)
        try:
            return act(at)
        except ShoalError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(THREADS)))


def test_of_many_who_push_one_number_with_other_content_one_wins(registry: Registry) -> None:
    told = _at_once(lambda at: registry.register(new(content=f"c{at}", version=1)).digest)
    assert sum(isinstance(each, str) for each in told) == 1
    assert sum(isinstance(each, Conflict) for each in told) == THREADS - 1
    assert registry.version("default", "iris", "1").digest in told
    assert registry.position() == 1


def test_many_who_push_one_number_with_the_same_content_all_have_it(registry: Registry) -> None:
    told = _at_once(lambda _: registry.register(new(version=1)))
    assert all(each == told[0] for each in told)
    assert len(registry.events()) == 1


def test_many_who_push_get_numbers_of_their_own(registry: Registry) -> None:
    told = _at_once(lambda at: registry.register(new(content=f"c{at % 7}")).version)
    assert sorted(told) == list(range(1, THREADS + 1))  # type: ignore[type-var]


def test_many_repeats_under_one_key_have_one_effect(registry: Registry) -> None:
    told = _at_once(lambda _: registry.register(new(), key="k").version)
    assert told == [1] * THREADS


def test_of_many_who_compare_and_set_one_wins(registry: Registry) -> None:
    registry.register_many([new(content=f"c{at}") for at in range(THREADS + 1)])
    registry.move_stage("default", "iris", "production", THREADS + 1)
    told = _at_once(
        lambda at: registry.move_stage("default", "iris", "production", at + 1, expected=THREADS + 1).version
    )
    assert Counter(isinstance(each, Conflict) for each in told) == {True: THREADS - 1, False: 1}
    assert registry.model("default", "iris").stages["production"] in told


def test_two_servers_may_share_a_postgres(postgres: Postgres, clock: ManualClock) -> None:
    with postgres.schema() as url:
        servers = [open_registry(url, clock=clock) for _ in range(2)]
        told = _at_once(lambda at: servers[at % 2].register(new(content=f"c{at}")).version)
        assert sorted(told) == list(range(1, THREADS + 1))  # type: ignore[type-var]
        assert [each.number for each in servers[0].changes(0).changes] == list(range(1, THREADS + 1))
        for each in servers:
            each.close()
