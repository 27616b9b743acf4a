from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.core.placement.rendezvous import Hosts, choose, moved, owners, skew, spread

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
HOSTS = st.dictionaries(NAMES, st.sampled_from([0.5, 1.0, 1.0, 2.0, 3.5]), min_size=1, max_size=12)
KEYS = [f"model-{number}" for number in range(2000)]


def even(count: int) -> dict[str, float]:
    return {f"host-{number}": 1.0 for number in range(count)}


def test_owners_are_the_same_in_another_process() -> None:
    script = (
        "from shoal.core.placement.rendezvous import owners;"
        "print(owners('iris', {f'host-{n}': 1.0 + n % 3 for n in range(20)}, 5))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    here = owners("iris", {f"host-{number}": 1.0 + number % 3 for number in range(20)}, 5)
    assert done.stdout.strip() == str(here)


def test_owners_never_change_from_release_to_release() -> None:
    assert [owners(key, even(9), 2) for key in ("iris", "wine", "")] == [
        ["host-1", "host-7"],
        ["host-8", "host-5"],
        ["host-0", "host-8"],
    ]


@given(NAMES, HOSTS, st.integers(1, 15))
def test_owners_are_distinct_and_as_many_as_asked_for(key: str, hosts: dict[str, float], count: int) -> None:
    found = owners(key, hosts, count)
    assert len(found) == len(set(found)) == min(count, len(hosts))
    assert found[:1] == owners(key, hosts)


@given(NAMES, HOSTS, st.integers(1, 5), NAMES)
def test_a_host_that_comes_only_takes_and_one_that_goes_only_gives(
    key: str, hosts: dict[str, float], count: int, new: str
) -> None:
    hosts.pop(new, None)
    without, with_new = owners(key, hosts, count), owners(key, {**hosts, new: 1.0}, count)
    assert [name for name in with_new if name != new] == without[: len(with_new) - (new in with_new)]


def test_a_new_host_takes_about_its_share() -> None:
    before = {key: owner for key in KEYS for owner in Hosts(even(20)).owners(key)}
    after = {key: owner for key in KEYS for owner in Hosts(even(21)).owners(key)}
    assert moved(before, after) == pytest.approx(1 / 21, abs=0.02)
    assert {after[key] for key in KEYS if after[key] != before[key]} == {"host-20"}


def test_weights_are_shares() -> None:
    hosts = {"small": 1.0, "large": 3.0, "gone": 0.0}
    counts = Counter(owners(key, hosts)[0] for key in KEYS)
    assert counts["large"] / len(KEYS) == pytest.approx(0.75, abs=0.04)
    assert "gone" not in counts


def test_no_hosts_own_nothing() -> None:
    assert owners("iris", {"gone": 0.0}, 3) == []
    assert choose("iris", {}, {}) is None
    assert Hosts({}).assign(["iris"]) == {}


@given(st.lists(st.integers(0, 10_000), max_size=150, unique=True), HOSTS, st.sampled_from([1.0, 1.25, 2.0]))
@settings(max_examples=50)
def test_bounded_load_is_bounded_one_by_one_and_at_once(
    numbers: list[int], hosts: dict[str, float], factor: float
) -> None:
    keys, load = [f"model-{number}" for number in numbers], dict.fromkeys(hosts, 0.0)
    bulk = Hosts(hosts).assign(keys, factor=factor)
    for key in keys:
        name = choose(key, hosts, load, factor=factor)
        assert name is not None
        load[name] += 1
    assert bulk.keys() == set(keys)
    at_once = Counter(bulk.values())
    for name, held in load.items():
        assert max(held, at_once[name]) <= math.ceil(factor * len(keys) * hosts[name] / sum(hosts.values()) + 1e-9)


@given(NAMES, HOSTS, st.data())
def test_an_owner_with_room_is_chosen_whatever_the_others_hold(
    key: str, hosts: dict[str, float], data: st.DataObject
) -> None:
    load = {name: data.draw(st.floats(0, 1e6)) for name in hosts}
    chosen = choose(key, hosts, load)
    assert chosen is not None
    total, share = sum(load.values()) + 1, hosts[chosen] / sum(hosts.values())
    assert load[chosen] <= 1.25 * total * share * (1 + 1e-9)
    (owner,) = owners(key, hosts)
    if load[owner] < 1.25 * total * hosts[owner] / sum(hosts.values()) * (1 - 1e-9):
        assert chosen == owner


def test_bounded_load_keeps_the_skew_down_and_moves_little() -> None:
    hosts = even(20)
    plain = Counter(Hosts(hosts).owners(key)[0] for key in KEYS)
    before, after = Hosts(hosts).assign(KEYS), Hosts(even(21)).assign(KEYS)
    assert skew(Counter(before.values()), hosts) <= 1.26 <= skew(plain, hosts) + 0.2
    assert moved(before, after) < 2 / 21


@given(HOSTS, st.data())
def test_owners_are_in_as_many_zones_as_there_can_be(hosts: dict[str, float], data: st.DataObject) -> None:
    zones = {name: data.draw(st.sampled_from("abc")) for name in hosts}
    count = data.draw(st.integers(1, 12))
    found = owners("iris", hosts, count, zones)
    used = Counter(zones[name] for name in found)
    assert len(used) == min(len(found), len(set(zones.values())))
    assert found[0] == owners("iris", hosts)[0]
    available = Counter(zones.values())
    for zone, held in used.items():
        assert all(held <= used[other] + 1 or used[other] == available[other] for other in used), zone


def test_spread_keeps_the_order_within_a_zone() -> None:
    zones = {"a": "1", "b": "1", "c": "2", "d": "1"}
    assert spread(["a", "b", "c", "d"], zones) == ["a", "c", "b", "d"]


def test_skew_is_the_fullest_by_its_weight_over_the_mean() -> None:
    assert skew({"a": 10, "b": 20}, {"a": 1.0, "b": 2.0}) == 1.0
    assert skew({"a": 20, "b": 10}, {"a": 1.0, "b": 2.0}) == 2.0
    assert skew({}, {"a": 1.0}) == 0.0
