from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shoal.core.errors import Conflict
from shoal.core.placement.residency import FEW, Evict, Load, Refuse, idle, plan_fit, plan_load
from shoal.core.placement.residents import PROVEN, Residents

MIB = 1 << 20
NOW = 1000.0


def filled(*mib: int, max_mib: int | None = None, max_count: int | None = None) -> Residents:
    """Models `0`, `1`, ... of these sizes, loaded long ago, used one after another."""
    state = Residents(max_bytes=None if max_mib is None else max_mib * MIB, max_count=max_count)
    for at, size in enumerate(mib):
        state.reserve(str(at), size * MIB, at)
        state.loaded(str(at), size * MIB, at)
    return state


def test_where_there_is_room_nothing_goes() -> None:
    plan = plan_load(filled(10, 10, max_mib=30), "new", 10 * MIB, NOW)
    assert plan == Load("there is room for new (10 MiB): 20 MiB of 30 MiB and 2 models are taken")
    assert isinstance(plan_load(Residents(), "new", 1 << 50, NOW), Load)


def test_the_least_recently_used_goes_and_the_reason_says_so() -> None:
    state = filled(10, 10, 10, max_mib=30)
    state.take("0")
    state.give_back("0", 600.0)
    plan = plan_load(state, "new", 10 * MIB, NOW)
    assert plan == Evict(
        ("1",), "1 (unused for 999 s) let go to make room for new (10 MiB): 30 MiB of 30 MiB and 3 models are taken"
    )


def test_not_one_more_goes_than_needed() -> None:
    assert plan_load(filled(1, 1, 20, 8, max_mib=30), "new", 20 * MIB, NOW).victims == ("2",)  # type: ignore[union-attr]
    assert plan_load(filled(5, 5, 20, max_mib=30), "new", 8 * MIB, NOW).victims == ("0", "1")  # type: ignore[union-attr]


def test_what_is_in_use_pinned_or_loading_stays() -> None:
    state = filled(10, 10, 10, max_mib=40)
    state.take("0")
    state.pin("1", True, NOW)
    state.reserve("coming", 10 * MIB, 900.0)
    assert plan_load(state, "new", 10 * MIB, NOW).victims == ("2",)  # type: ignore[union-attr]
    refused = plan_load(state, "new", 20 * MIB, NOW)
    assert isinstance(refused, Refuse)
    assert not refused.final
    assert "in use, pinned or loading" in refused.reason
    state.give_back("0", NOW)
    assert plan_load(state, "new", 20 * MIB, NOW).victims == ("2", "0")  # type: ignore[union-attr]


def test_what_has_just_come_is_not_the_next_to_go() -> None:
    state = filled(10, 10, max_mib=30)
    state.reserve("young", 10 * MIB, NOW - 1)
    state.loaded("young", 10 * MIB, NOW - 1)
    for key in "01":
        state.take(key)
        state.give_back(key, NOW)
    assert plan_load(state, "new", 10 * MIB, NOW).victims == ("0",)  # type: ignore[union-attr]
    assert plan_load(state, "new", 30 * MIB, NOW).victims == ("0", "1", "young")  # type: ignore[union-attr]
    assert plan_load(state, "new", 10 * MIB, NOW + 10).victims == ("young",)  # type: ignore[union-attr]


def test_what_can_never_fit_is_refused_with_the_sizes() -> None:
    refused = plan_load(filled(10, max_mib=30), "giant", 31 * MIB, NOW)
    assert refused == Refuse(
        "giant needs 31 MiB, and its worker has room for 30 MiB: "
        "give the pool more memory, or the model a worker of its own",
        final=True,
    )
    state = filled(10, 10, max_mib=30, max_count=2)
    state.pin("0", True, NOW)
    assert "beside 1 pinned models of 10 MiB" in plan_load(state, "large", 25 * MIB, NOW).reason
    state.pin("1", True, NOW)
    assert plan_load(state, "new", 1 * MIB, NOW) == Refuse(
        "there is no place for new: the 2 pinned models have them all", final=True
    )


def test_places_are_a_budget_of_their_own() -> None:
    plan = plan_load(filled(1, 1, 1, max_count=3), "new", 1 << 40, NOW)
    assert plan.victims == ("0",)  # type: ignore[union-attr]
    assert plan.reason.endswith("3 MiB and 3 of 3 places are taken")


def test_a_model_that_lied_about_its_size_makes_others_go() -> None:
    state = filled(10, 10, max_mib=30)
    assert plan_fit(state, NOW) is None
    state.reserve("liar", 1 * MIB, NOW)
    state.take("liar")
    state.loaded("liar", 15 * MIB, NOW)
    plan = plan_fit(state, NOW)
    assert plan is not None
    assert plan.victims == ("0",)
    state.resize("liar", 60 * MIB)
    assert plan_fit(state, NOW).victims == ("0", "1")  # type: ignore[union-attr]


def test_a_burst_of_cold_models_reserves_before_it_loads() -> None:
    state = Residents(max_bytes=100 * MIB)
    plans = []
    for number in range(200):
        plans.append(plan_load(state, str(number), 10 * MIB, NOW))
        if isinstance(plans[-1], Load):
            state.reserve(str(number), 10 * MIB, NOW)
    assert sum(isinstance(plan, Load) for plan in plans) == 10
    assert all(isinstance(plan, Refuse) and not plan.final for plan in plans[10:])
    with pytest.raises(Conflict):
        state.reserve("0", 1, NOW)


def test_more_loads_than_models_are_called_thrash() -> None:
    state = Residents(max_count=10, min_residence=0.0)
    reasons = []
    for number in range(40):
        plan = plan_load(state, str(number), MIB, NOW + number)
        reasons.append(plan.reason)
        for victim in plan.victims if isinstance(plan, Evict) else ():
            state.remove(victim)
        state.reserve(str(number), MIB, NOW + number)
        state.loaded(str(number), MIB, NOW + number)
    assert not any("thrash" in reason for reason in reasons[:11])
    assert all("thrash" in reason for reason in reasons[11:])
    assert state.loads(NOW + 39) == 40 > FEW
    assert state.loads(NOW + 200) == 0


def test_what_nobody_has_used_for_long_is_found() -> None:
    state = filled(1, 1, 1)
    state.take("0")
    state.pin("1", True, NOW)
    assert idle(state, 62.0, 60.0) == ("2",)
    state.give_back("0", 62.0)
    assert idle(state, 121.9, 60.0) == ("2",)
    assert idle(state, 122.0, 60.0) == ("2", "0")


def test_what_is_asked_for_again_and_again_stays_while_others_come_and_go() -> None:
    state, chance = Residents(max_count=50), random.Random(3)
    weights = [1 / (rank + 1) ** 1.1 for rank in range(1000)]
    loads = [0] * 1000
    for at, model in enumerate(chance.choices(range(1000), weights, k=6000)):
        key, now = str(model), at / 700
        if not state.take(key):
            plan = plan_load(state, key, MIB, now)
            for victim in plan.victims if isinstance(plan, Evict) else ():
                state.remove(victim)
            state.reserve(key, MIB, now)
            state.loaded(key, MIB, now)
            state.take(key)
            loads[model] += at > 2000
        state.give_back(key, now)
    assert sum(loads[:10]) == 0
    assert sum(loads) < 0.4 * 4000


def test_of_many_that_come_at_once_the_first_go_before_what_is_in_use_all_the_time() -> None:
    state = filled(*[1] * 10, max_count=10)
    for _ in range(2):
        for key in "01234":
            state.take(key)
            state.give_back(key, NOW)
    for number in range(20):
        plan = plan_load(state, f"new{number}", MIB, NOW)
        assert isinstance(plan, Evict)
        for victim in plan.victims:
            assert victim not in "01234"
            state.remove(victim)
        state.reserve(f"new{number}", MIB, NOW)
        state.loaded(f"new{number}", MIB, NOW)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 40), st.data())
@settings(max_examples=60)
def test_victims_suffice_and_none_of_them_could_stay(sizes: list[int], need: int, data: st.DataObject) -> None:
    state = filled(*sizes, max_mib=sum(sizes), max_count=data.draw(st.sampled_from([None, len(sizes)])))
    plan = plan_load(state, "new", need * MIB, NOW)
    if need > sum(sizes):
        assert isinstance(plan, Refuse)
        return
    assert isinstance(plan, Evict)
    chosen = [sizes[int(key)] for key in plan.victims]
    assert sum(chosen) >= need
    assert all(sum(fewer) < need for fewer in combinations(chosen, len(chosen) - 1))
    assert list(plan.victims) == sorted(plan.victims, key=int)


class ResidencyMachine(RuleBasedStateMachine):
    """Calls, loads and evictions in any order, beside plain lists that say what must be true."""

    @initialize(max_mib=st.sampled_from([None, 20, 40]), max_count=st.sampled_from([None, 3, 6]))
    def start(self, max_mib: int | None, max_count: int | None) -> None:
        self.now, self.number = NOW, 0
        self.state = Residents(max_bytes=None if max_mib is None else max_mib * MIB, max_count=max_count)
        self.calls: list[str] = []
        self.order: list[str] = []
        self.lied = False

    @rule(seconds=st.sampled_from([0.0, 1.0, 7.0, 100.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.now += seconds

    @rule(mib=st.integers(0, 25), pinned=st.sampled_from([False, False, True]))
    def load(self, mib: int, pinned: bool) -> None:
        key, self.number = f"m{self.number}", self.number + 1
        plan = plan_load(self.state, key, mib * MIB, self.now)
        assert plan.reason
        if isinstance(plan, Refuse):
            return
        victims = plan.victims if isinstance(plan, Evict) else ()
        assert set(victims) <= set(self.order)
        if any(self.young(victim) for victim in victims):
            assert not self.old_ones_suffice(mib * MIB)
        for victim in victims:
            self.state.remove(victim)
            self.order.remove(victim)
        self.state.reserve(key, mib * MIB, self.now, pinned=pinned)
        assert self.lied or plan_fit(self.state, self.now) is None

    def young(self, key: str) -> bool:
        resident = self.state.get(key)
        assert resident is not None
        return self.state.is_young(resident, self.now)

    def old_ones_suffice(self, need: int) -> bool:
        state, old = self.state, [each for each in self.state.idle if not self.young(each.key)]
        room = state.max_bytes is None or state.bytes + need - state.max_bytes <= sum(each.bytes for each in old)
        return room and (state.max_count is None or len(state) + 1 - state.max_count <= len(old))

    @precondition(lambda self: any(each.loading for each in self.state))
    @rule(data=st.data(), more=st.sampled_from([0, 0, 5]), fails=st.sampled_from([False, False, True]))
    def a_load_ends(self, data: st.DataObject, more: int, fails: bool) -> None:
        coming = data.draw(st.sampled_from([each for each in self.state if each.loading]))
        if fails:
            self.state.remove(coming.key)
            self.calls = [key for key in self.calls if key != coming.key]
            return
        self.lied |= more > 0
        self.state.loaded(coming.key, coming.bytes + more * MIB, self.now)
        if not coming.in_use and not coming.pinned:
            self.order.append(coming.key)

    @precondition(lambda self: bool(len(self.state)))
    @rule(data=st.data())
    def a_call_comes(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from([each.key for each in self.state]))
        assert self.state.take(key)
        self.calls.append(key)
        if key in self.order:
            self.order.remove(key)

    @precondition(lambda self: bool(self.calls))
    @rule(data=st.data())
    def a_call_ends(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.calls))
        self.calls.remove(key)
        self.state.give_back(key, self.now)
        resident = self.state.get(key)
        assert resident is not None
        if key not in self.calls and not resident.pinned and not resident.loading:
            self.order.append(key)

    @precondition(lambda self: bool(len(self.state)))
    @rule(data=st.data(), pinned=st.booleans())
    def pin(self, data: st.DataObject, pinned: bool) -> None:
        resident = data.draw(st.sampled_from(list(self.state)))
        was = resident.pinned
        self.state.pin(resident.key, pinned, self.now)
        if pinned and resident.key in self.order:
            self.order.remove(resident.key)
        if was and not pinned and not resident.in_use and not resident.loading:
            self.order.append(resident.key)

    @invariant()
    def the_accounts_are_exact(self) -> None:
        if not hasattr(self, "state"):
            return
        everything = list(self.state)
        assert self.state.bytes == sum(each.bytes for each in everything)
        assert self.state.pinned_bytes == sum(each.bytes for each in everything if each.pinned)
        assert self.state.pinned_count == sum(each.pinned for each in everything)
        assert {each.key: each.in_use for each in everything if each.in_use} == {
            key: self.calls.count(key) for key in self.calls
        }
        uses = {each.key: each.uses for each in everything}
        assert [each.key for each in self.state.idle] == sorted(self.order, key=lambda key: uses[key] >= PROVEN)
        for each in self.state.idle:
            assert (each.in_use, each.pinned, each.loading) == (0, False, False)


TestResidencyMachine = ResidencyMachine.TestCase
TestResidencyMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
