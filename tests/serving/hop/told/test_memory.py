from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import NotFound
from shoal.core.model import ModelState
from shoal.serving.hop.messages import Description, Facts
from shoal.serving.hop.proxy.telling import facts_of
from shoal.serving.hop.told import memory
from shoal.serving.hop.told.handles import added
from shoal.serving.hop.told.memory import Memory
from support.gateway_fakes import handle


def facts(name: str, version: str = "", state: ModelState = ModelState.READY, **more: Any) -> Facts:
    return facts_of(handle(name, version, state=state, **more))


def empty() -> Memory:
    return Memory(None)  # type: ignore[arg-type]


def learn(known: Memory, name: str) -> None:
    known.describe((name, ""), Description(facts(name), [facts(name)], [], {}))


def test_a_model_is_known_by_the_name_it_was_asked_for() -> None:
    known = empty()
    both = [facts("m", "1"), facts("m", "2")]
    known.describe(("m", ""), Description(both[1], both, [], {}))
    assert known.find("m", "").spec.version == "2"
    assert [each.spec.version for each in known.versions("m")] == ["1", "2"]
    with pytest.raises(NotFound):
        known.find("m", "2")
    known.forget("m", "")
    with pytest.raises(NotFound):
        known.find("m", "")
    assert known.versions("m") == ()


def test_a_handle_stays_the_same_while_what_it_tells_changes() -> None:
    known = empty()
    learn(known, "m")
    before = known.find("m", "")
    known.describe(("m", ""), Description(facts("m", state=ModelState.UNAVAILABLE, reason="gone"), [], [], {}))
    assert known.find("m", "") is before
    assert (before.state, before.reason) == (ModelState.UNAVAILABLE, "gone")


def test_the_list_has_each_version_once_and_prefers_one_that_is_ready() -> None:
    known = empty()
    known.show(
        [[facts("b"), facts("a", "2", ModelState.LOADING)], [facts("a", "2"), facts("a", "10"), facts("a", "1")]]
    )
    assert [(each.spec.name, each.spec.version) for each in known.listed] == [
        ("a", "1"),
        ("a", "2"),
        ("a", "10"),
        ("b", ""),
    ]
    assert all(each.state is ModelState.READY for each in known.listed)


def test_what_nobody_uses_is_forgotten_when_there_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEPT", 10)
    known = empty()
    for at in range(10):
        learn(known, f"m{at}")
    for each in known.handles.values():
        each.used = False
    known.find("m3", "")
    learn(known, "m10")
    assert sorted(name for name, _ in known.handles) == ["m10", "m3"]
    assert sorted(known.names(20)) == ["m10", "m3"]
    for at in range(20, 60):
        learn(known, f"m{at}")
        assert len(known.handles) <= 10


COUNT = st.fixed_dictionaries({"count": st.integers(0, 10**6), "ns": st.integers(0, 10**12)})
STATISTICS = st.fixed_dictionaries(
    {
        "last_inference": st.integers(0, 10**13),
        "inference_count": st.integers(0, 10**6),
        "inference_stats": st.fixed_dictionaries({"success": COUNT, "queue": COUNT}),
        "batch_stats": st.lists(
            st.fixed_dictionaries({"batch_size": st.integers(1, 8), "compute_infer": COUNT}),
            unique_by=lambda each: each["batch_size"],
            max_size=5,
        ),
    }
)


@given(st.lists(STATISTICS, min_size=1, max_size=4))
def test_statistics_of_several_proxies_are_added_up(told: list[dict[str, Any]]) -> None:
    total = added(told)
    assert total["inference_count"] == sum(each["inference_count"] for each in told)
    assert total["last_inference"] == max(each["last_inference"] for each in told)
    for what in ("count", "ns"):
        assert total["inference_stats"]["queue"][what] == sum(each["inference_stats"]["queue"][what] for each in told)
    for size in range(1, 9):
        ours = [each for each in total["batch_stats"] if each["batch_size"] == size]
        theirs = [item for each in told for item in each["batch_stats"] if item["batch_size"] == size]
        assert len(ours) == min(len(theirs), 1)
        assert sum(each["compute_infer"]["count"] for each in ours) == sum(
            each["compute_infer"]["count"] for each in theirs
        )
