from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.serving.hop.policy.choice import SHRINK_SECONDS, Choice

NAMES = st.sets(st.from_regex(r"proxy-[0-9]{1,3}", fullmatch=True), min_size=1, max_size=8)
KEYS = [f"model-{at}/" for at in range(40)]
HOT = 100.0


def choice_of(names: set[str] | list[str]) -> Choice:
    choice = Choice(HOT)
    choice.update(names)
    return choice


def loads_of(choice: Choice, rows: dict[str, float]) -> dict[str, float]:
    """What proxies have to do when each model's owners share its rows."""
    loads = dict.fromkeys(choice.hosts, 0.0)
    for key, count in rows.items():
        owners = choice.owners(key)
        for name in owners:
            loads[name] += count / len(owners)
    return loads


def run(choice: Choice, rows: dict[str, float], seconds: float, start: float = 0.0) -> float:
    now = start
    while now < start + seconds:
        choice.balance(now, rows, loads_of(choice, rows))
        now += 0.1
    return now


@settings(max_examples=40)
@given(NAMES)
def test_each_model_has_one_owner_that_all_gateways_agree_on(names: set[str]) -> None:
    one, other = choice_of(names), choice_of(sorted(names, reverse=True))
    for key in KEYS:
        assert one.owners(key) == other.owners(key)
        assert len(one.owners(key)) == 1
        assert set(one.ranked(key)) == names


@settings(max_examples=40)
@given(NAMES.filter(lambda names: len(names) > 1))
def test_only_models_of_a_proxy_that_leaves_move_and_come_back_with_it(names: set[str]) -> None:
    choice = choice_of(names)
    before = {key: choice.owners(key) for key in KEYS}
    gone = min(names)
    choice.update(names - {gone})
    for key in KEYS:
        assert (choice.owners(key) == before[key]) == (before[key] != (gone,))
        assert gone not in choice.owners(key)
    choice.update(names)
    assert {key: choice.owners(key) for key in KEYS} == before


def test_models_are_spread_evenly() -> None:
    choice = choice_of([f"proxy-{at}" for at in range(4)])
    keys = [f"model-{at}/" for at in range(4000)]
    counts = [sum(choice.owners(key) == (name,) for key in keys) for name in choice.hosts]
    assert min(counts) / 1000 > 0.85
    assert max(counts) / 1000 < 1.15


@settings(max_examples=40)
@given(NAMES, st.dictionaries(st.sampled_from(KEYS[:20]), st.floats(0, HOT * 0.99), max_size=20))
def test_cold_models_never_get_a_second_owner(names: set[str], rows: dict[str, float]) -> None:
    choice = choice_of(names)
    revision = choice.revision
    run(choice, rows, 3.0)
    assert all(len(choice.owners(key)) == 1 for key in KEYS[:20])
    assert choice.revision == revision


@settings(max_examples=40)
@given(st.integers(2, 8), st.floats(HOT * 1.01, HOT * 50))
def test_a_hot_model_gets_owners_until_none_of_them_is_hot_or_all_are_as_busy(count: int, rows: float) -> None:
    names = [f"proxy-{at}" for at in range(count)]
    choice = choice_of(names)
    all_rows = {"hot/": rows, "cold/": 1.0}
    run(choice, all_rows, 10.0)
    owners = choice.owners("hot/")
    assert len(owners) > 1
    loads = loads_of(choice, all_rows)
    assert rows / len(owners) < HOT or min(loads[name] for name in owners) <= 1.25 * (rows + 1.0) / count
    assert owners == choice.ranked("hot/")[: len(owners)]
    assert len(choice.owners("cold/")) == 1


@settings(max_examples=40)
@given(st.integers(2, 6), st.floats(1.0, HOT * 10))
def test_a_steady_load_comes_to_rest(count: int, rows: float) -> None:
    choice = choice_of([f"proxy-{at}" for at in range(count)])
    now = run(choice, {"m/": rows}, 10.0)
    revision = choice.revision
    run(choice, {"m/": rows}, 4 * SHRINK_SECONDS, now)
    assert choice.revision == revision


def test_a_model_that_cools_down_loses_its_owners_one_after_the_other() -> None:
    choice = choice_of(["a", "b", "c"])
    now = run(choice, {"m/": HOT * 6}, 2.0)
    assert len(choice.owners("m/")) == 3
    now = run(choice, {}, SHRINK_SECONDS - 1, now)
    assert len(choice.owners("m/")) == 3
    now = run(choice, {}, 2.0, now)
    assert len(choice.owners("m/")) == 2
    run(choice, {}, SHRINK_SECONDS + 1, now)
    assert len(choice.owners("m/")) == 1


def test_a_dip_does_not_take_an_owner_away() -> None:
    choice = choice_of(["a", "b"])
    now = run(choice, {"m/": HOT * 2}, 1.0)
    for _ in range(4):
        now = run(choice, {}, SHRINK_SECONDS - 1, now)
        now = run(choice, {"m/": HOT * 2}, 0.3, now)
    assert len(choice.owners("m/")) == 2


def test_without_proxies_nobody_owns_anything() -> None:
    assert Choice(HOT).owners("m/") == ()
    choice = choice_of(["a"])
    choice.update([])
    assert choice.owners("m/") == ()
    choice.balance(0.0, {"m/": HOT * 5}, {})
    assert choice.owners("m/") == ()


def test_owners_that_leave_are_replaced_while_a_model_is_hot() -> None:
    choice = choice_of(["a", "b", "c"])
    run(choice, {"m/": HOT * 2, "n/": 1.0}, 1.0)
    first = choice.owners("m/")
    choice.update(set(choice.hosts) - {first[0]})
    assert len(choice.owners("m/")) == min(len(first), 2)
    assert first[0] not in choice.owners("m/")
