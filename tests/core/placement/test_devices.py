from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shoal.core.errors import Conflict, Unavailable
from shoal.core.placement.devices import Card, Cards, Grant
from shoal.core.service import Device

GIB = 1 << 30


def cards(*gib: int, kind: str = "gpu", model: str = "") -> Cards:
    return Cards([Card(id=str(at), memory_bytes=each * GIB, kind=kind, model=model) for at, each in enumerate(gib)])


def part(gib: float, model: str = "") -> Device:
    return Device(memory_bytes=int(gib * GIB), model=model)


def test_twelve_small_tasks_share_an_a30_and_the_thirteenth_is_told_what_is_free() -> None:
    a30 = cards(24, model="nvidia-a30")
    for number in range(12):
        assert a30.take(f"task-{number}", part(2)).cards == ("0",)
    with pytest.raises(Unavailable, match="no gpu has 2 GiB free; 0: 0 B of 24 GiB free") as refused:
        a30.take("task-12", part(2))
    assert refused.value.hint
    a30.release("task-3")
    assert a30.take("task-12", part(2)).cards == ("0",)


def test_a_request_never_spans_cards() -> None:
    two = cards(24, 24)
    for at in range(2):
        two.take(f"holder-{at}", part(20))
    assert [use.free_bytes for use in two.uses] == [4 * GIB, 4 * GIB]
    with pytest.raises(Unavailable, match="0: 4 GiB of 24 GiB free, 1: 4 GiB of 24 GiB free"):
        two.take("large", part(8))
    two.take("small", part(4))


def test_the_fitting_card_with_the_least_free_memory_is_chosen() -> None:
    three = cards(24, 16, 40)
    assert three.take("a", part(10)).cards == ("1",)
    assert three.take("b", part(10)).cards == ("0",)
    assert three.take("c", part(6)).cards == ("1",)
    assert three.take("d", part(30)).cards == ("2",)


def test_whole_cards_are_cards_that_nobody_uses() -> None:
    three = cards(24, 24, 24)
    three.take("small", part(1))
    assert three.take("large", Device(count=2)).cards == ("1", "2")
    with pytest.raises(Unavailable, match="1 unused gpu asked for; 0: 23 GiB of 24 GiB free, 1: in use as a whole"):
        three.take("other", Device())
    with pytest.raises(Unavailable):
        three.take("another", part(24))
    three.release("large")
    three.release("small")
    assert three.take("other", Device(count=3)).cards == ("0", "1", "2")


def test_kind_and_model_are_kept_to() -> None:
    mixed = Cards(
        [
            Card(id="0", memory_bytes=16 * GIB, model="nvidia-tesla-t4"),
            Card(id="1", memory_bytes=24 * GIB, model="nvidia-a30"),
            Card(id="2", memory_bytes=32 * GIB, kind="npu"),
        ]
    )
    assert mixed.take("a", part(2, "nvidia-a30")).cards == ("1",)
    assert mixed.take("b", Device(kind="npu")).cards == ("2",)
    with pytest.raises(Unavailable, match="there is no tpu here"):
        mixed.take("c", Device(kind="tpu"))
    with pytest.raises(Unavailable, match="a part of a card is always a part of one"):
        mixed.take("d", Device(count=2, memory_bytes=GIB))


def test_a_worker_is_told_its_cards_and_its_memory() -> None:
    a30 = cards(24, 24)
    assert a30.take("a", part(2)).variables == {
        "SHOAL_DEVICES": "0",
        "CUDA_VISIBLE_DEVICES": "0",
        "SHOAL_DEVICE_MEMORY_BYTES": str(2 * GIB),
    }
    assert Grant(cards=("3", "4"), kind="npu").variables == {"SHOAL_DEVICES": "3,4"}


def test_a_long_list_of_cards_is_cut() -> None:
    with pytest.raises(Unavailable, match="and 12 more"):
        cards(*[1] * 20).take("a", part(2))


def test_a_holder_holds_once_and_what_is_gone_cannot_be_held() -> None:
    one = cards(24)
    one.take("a", part(2))
    with pytest.raises(Conflict):
        one.take("a", part(2))
    with pytest.raises(Conflict):
        one.hold("b", Grant(cards=("7",), memory_bytes=1))
    with pytest.raises(Conflict):
        one.hold("b", Grant(cards=("0",)))
    one.hold("b", Grant(cards=("0",), memory_bytes=22 * GIB))
    one.release("nobody")


class CardsMachine(RuleBasedStateMachine):
    """Requests come and go in any order; no card is given twice, and no byte is lost."""

    @initialize(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4))
    def start(self, sizes: list[int]) -> None:
        self.cards, self.held = cards(*sizes), dict[str, Device]()

    @rule(
        holder=st.sampled_from("abcdef"),
        request=st.builds(Device, count=st.integers(1, 3)) | st.builds(part, st.integers(1, 6)),
    )
    def take(self, holder: str, request: Device) -> None:
        if holder in self.held:
            return
        wanted = request.memory_bytes
        open_ones = [use for use in self.cards.uses if not use.whole and use.free_bytes >= (wanted or 0)]
        unused = [use for use in open_ones if not use.holders]
        possible = bool(open_ones) if wanted is not None else len(unused) >= request.count
        try:
            grant = self.cards.take(holder, request)
        except Unavailable:
            assert not possible
            return
        assert possible
        assert len(set(grant.cards)) == (request.count if wanted is None else 1)
        self.held[holder] = request

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        holder = data.draw(st.sampled_from(sorted(self.held)))
        self.cards.release(holder)
        del self.held[holder]

    @invariant()
    def the_accounts_are_exact(self) -> None:
        if not hasattr(self, "cards"):
            return
        grants = self.cards.grants
        assert grants.keys() == self.held.keys()
        for use in self.cards.uses:
            mine = [each for each in grants.values() if use.card.id in each.cards]
            taken = sum(use.card.memory_bytes if each.memory_bytes is None else each.memory_bytes for each in mine)
            assert use.free_bytes == use.card.memory_bytes - taken >= 0
            assert use.holders == len(mine)
            assert use.whole == any(each.memory_bytes is None for each in mine)
            assert not use.whole or len(mine) == 1


TestCardsMachine = CardsMachine.TestCase
TestCardsMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
