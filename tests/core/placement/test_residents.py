from __future__ import annotations

import time

from shoal.core.placement.residents import Residents

MIB = 1 << 20
NOW = 1000.0


def filled(count: int) -> Residents:
    """Models `0`, `1`, ... loaded long ago, used one after another."""
    state = Residents()
    for at in range(count):
        state.reserve(str(at), MIB, at)
        state.loaded(str(at), MIB, at)
    return state


def test_who_is_not_there_is_not_taken() -> None:
    state = filled(1)
    assert not state.take("other")
    state.give_back("other", NOW)
    state.resize("other", 1)
    state.pin("other", True, NOW)
    state.remove("other")
    state.loaded("other", 1, NOW)
    assert [each.key for each in state] == ["0"]


def test_taking_and_giving_back_cost_the_same_with_ten_thousand_models() -> None:
    state = filled(10_000)
    started = time.perf_counter()
    for number in range(20_000):
        state.take(str(number % 10_000))
        state.give_back(str(number % 10_000), NOW)
    assert time.perf_counter() - started < 2
