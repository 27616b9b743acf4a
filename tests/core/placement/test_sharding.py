from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shoal.core.errors import ConfigError
from shoal.core.placement.rendezvous import moved, skew
from shoal.core.placement.sharding import Shards, shard

TENANTS = [f"team-{number}" for number in range(1000)]


def even(count: int) -> dict[str, float]:
    return {f"host-{number}": 1.0 for number in range(count)}


def worst_overlap(shards: dict[str, tuple[str, ...]]) -> int:
    return max((len(set(one) & set(other)) for one, other in combinations(shards.values(), 2)), default=0)


@given(st.sampled_from(TENANTS), st.integers(1, 12), st.integers(1, 6))
def test_a_shard_is_k_different_hosts(tenant: str, hosts: int, k: int) -> None:
    given_out = shard(tenant, even(hosts), k)
    assert len(set(given_out)) == len(given_out) == min(k, hosts)
    assert given_out == shard(tenant, even(hosts), k)


@pytest.mark.parametrize(("hosts", "k"), [(8, 2), (20, 4)])
def test_a_host_that_comes_moves_about_k_of_n_tenants_by_one_host(hosts: int, k: int) -> None:
    before = {tenant: shard(tenant, even(hosts), k) for tenant in TENANTS}
    after = {tenant: shard(tenant, even(hosts + 1), k) for tenant in TENANTS}
    assert moved(before, after) == pytest.approx(k / (hosts + 1), abs=0.05)
    assert all(len(set(before[each]) - set(after[each])) <= 1 for each in TENANTS)


def test_a_shard_is_in_different_zones() -> None:
    zones = {name: "abc"[number % 3] for number, name in enumerate(even(9))}
    for tenant in TENANTS[:100]:
        assert len({zones[name] for name in shard(tenant, even(9), 3, zones)}) == 3
    shards = Shards(3, 1, even(9), zones=zones)
    assert len({zones[name] for name in shards.assign("first")}) == 3


def test_eight_hosts_have_twenty_eight_different_pairs() -> None:
    shards = Shards(2, 1, even(8))
    given_out = {tenant: shards.assign(tenant) for tenant in TENANTS[:28]}
    assert len({frozenset(each) for each in given_out.values()}) == 28
    assert shards.overlap == worst_overlap(given_out) == 1
    shards.assign("one more")
    assert shards.overlap == 2


def test_who_kills_all_its_hosts_leaves_every_other_tenant_one() -> None:
    shards = Shards(2, 1, even(8))
    given_out = {tenant: shards.assign(tenant) for tenant in TENANTS[:28]}
    for culprit, dead in given_out.items():
        assert all(set(alive) - set(dead) for tenant, alive in given_out.items() if tenant != culprit)


def test_when_all_shards_are_taken_they_are_shared_evenly() -> None:
    shards = Shards(2, 1, even(8))
    counts = Counter(frozenset(shards.assign(tenant)) for tenant in TENANTS[:280])
    assert set(counts.values()) == {10}


def test_the_overlap_grows_one_by_one() -> None:
    shards = Shards(3, 0, even(9))
    seen = []
    for tenant in TENANTS[:60]:
        shards.assign(tenant)
        seen.append(shards.overlap)
    assert seen == sorted(seen)
    assert seen[:3] == [0, 0, 0]
    assert seen[3] == 1
    assert seen[-1] == 2
    assert worst_overlap(shards.assignments) == 2


def test_models_on_shards_are_spread_evenly_enough() -> None:
    shards = Shards(2, 1, even(8))
    counts = Counter(name for tenant in TENANTS for name in shards.assign(tenant))
    assert skew(counts, even(8)) < 1.1


def test_a_released_shard_can_be_had_again() -> None:
    shards = Shards(1, 0, even(2))
    first, second = shards.assign("a"), shards.assign("b")
    assert first != second
    shards.release("a")
    assert shards.assign("c") == first
    shards.release("nobody")


def test_assignments_survive_a_restart() -> None:
    shards = Shards(2, 1, even(8))
    given_out = {tenant: shards.assign(tenant) for tenant in TENANTS[:20]}
    again = Shards(2, 1, even(8), assignments=shards.assignments)
    assert {tenant: again.assign(tenant) for tenant in TENANTS[:20]} == given_out
    new = again.assign("new")
    assert all(set(new) != set(other) for other in given_out.values())


@pytest.mark.parametrize("change", [1, -1])
def test_hosts_that_come_or_go_move_about_their_share(change: int) -> None:
    shards = Shards(3, 2, even(20))
    for tenant in TENANTS[:400]:
        shards.assign(tenant)
    before = dict(shards.assignments)
    changed = shards.set_hosts(even(20 + change))
    assert {tenant for tenant in before if before[tenant] != shards.assignments[tenant]} == set(changed)
    assert len(changed) / 400 == pytest.approx(3 / 20, abs=0.06)
    assert all(len(set(before[each]) - set(shards.assignments[each])) == 1 for each in changed)
    assert worst_overlap(shards.assignments) <= 2


@pytest.mark.parametrize(("k", "overlap"), [(0, 0), (9, 1), (2, 2), (2, -1)])
def test_impossible_shards_are_refused(k: int, overlap: int) -> None:
    with pytest.raises(ConfigError):
        Shards(k, overlap, even(8))


class ShardsMachine(RuleBasedStateMachine):
    """Tenants and hosts come and go; the accounts hold."""

    @initialize(k=st.integers(1, 3), overlap=st.integers(0, 2), hosts=st.integers(0, 7))
    def start(self, k: int, overlap: int, hosts: int) -> None:
        self.k, self.hosts = k, set(even(hosts))
        self.bound = min(overlap, k - 1)
        self.shards = Shards(k, self.bound, even(hosts))
        self.strict = True

    @rule(tenant=st.sampled_from(TENANTS[:12]))
    def come(self, tenant: str) -> None:
        known, before = tenant in self.shards.assignments, self.shards.overlap
        new = self.shards.assign(tenant)
        assert self.shards.assign(tenant) == new
        if not known and max(self.shards.overlap, self.bound) > max(before, self.bound):
            self.no_better_one(tenant)

    def no_better_one(self, tenant: str) -> None:
        """More overlap is only allowed when nothing less was left."""
        others = [set(each) for name, each in self.shards.assignments.items() if name != tenant]
        mine = max(len(set(self.shards.assignments[tenant]) & other) for other in others)
        for each in combinations(sorted(self.hosts), len(self.shards.assignments[tenant])):
            assert max(len(set(each) & other) for other in others) >= mine

    @rule(tenant=st.sampled_from(TENANTS[:12]))
    def go(self, tenant: str) -> None:
        self.shards.release(tenant)

    @rule(name=st.sampled_from(sorted(even(9))))
    def a_host_comes(self, name: str) -> None:
        before = dict(self.shards.assignments)
        self.hosts.add(name)
        changed = self.shards.set_hosts(dict.fromkeys(self.hosts, 1.0))
        assert all((before[each] == self.shards.assignments[each]) != (each in changed) for each in before)

    @precondition(lambda self: self.hosts)
    @rule(data=st.data())
    def a_host_goes(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.hosts)))
        before = dict(self.shards.assignments)
        self.hosts.discard(name)
        self.shards.set_hosts(dict.fromkeys(self.hosts, 1.0))
        for tenant, given_out in before.items():
            if name not in given_out:
                assert self.shards.assignments[tenant] == given_out
            else:
                assert set(given_out) - {name} <= set(self.shards.assignments[tenant])

    @invariant()
    def shards_are_whole_and_counted(self) -> None:
        if not hasattr(self, "shards"):
            return
        for given_out in self.shards.assignments.values():
            assert len(set(given_out)) == min(self.k, len(self.hosts))
            assert set(given_out) <= self.hosts
        assert self.shards.overlap == worst_overlap(self.shards.assignments)


TestShardsMachine = ShardsMachine.TestCase
TestShardsMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
