from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.serving.hop.policy.health import (
    EJECT_SECONDS,
    FAILURES,
    FORGIVEN_SECONDS,
    LONGEST_SECONDS,
    Outliers,
)

NAMES = ["a", "b", "c", "d", "e"]
STEPS = st.lists(
    st.tuples(st.sampled_from(["fail", "succeed", "wait"]), st.sampled_from(NAMES), st.floats(0.0, 20.0)), max_size=200
)


@given(st.integers(1, 5), STEPS)
def test_at_most_half_are_ejected_and_never_the_last(count: int, steps: list[tuple[str, str, float]]) -> None:
    outliers, now = Outliers(), 0.0
    outliers.update(NAMES[:count])
    for what, name, seconds in steps:
        if name not in NAMES[:count]:
            continue
        if what == "fail":
            for _ in range(FAILURES):
                outliers.failure(name, now)
        elif what == "succeed":
            outliers.success(name)
        else:
            now += seconds
        out = outliers.ejected(now)
        assert len(out) <= count // 2
        assert len(out) < count


def eject(outliers: Outliers, name: str, now: float) -> float:
    """Let it fail until it is ejected; when it comes back."""
    assert [outliers.failure(name, now) for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    until = now
    while name in outliers.ejected(until):
        until += 0.5
    return until


def test_each_ejection_is_longer_until_it_is_forgiven() -> None:
    outliers = Outliers()
    outliers.update(["a", "b"])
    now, lengths = 0.0, []
    for _ in range(8):
        back = eject(outliers, "a", now)
        lengths.append(back - now)
        now = back
    assert lengths == [min(EJECT_SECONDS * 2**at, LONGEST_SECONDS) for at in range(8)]
    now += FORGIVEN_SECONDS + 1
    assert eject(outliers, "a", now) - now == EJECT_SECONDS


def test_failures_have_to_come_in_a_row() -> None:
    outliers = Outliers()
    outliers.update(["a", "b"])
    for _ in range(10):
        for _ in range(FAILURES - 1):
            assert not outliers.failure("a", 0.0)
        outliers.success("a")
    assert not outliers.ejected(0.0)


@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
def test_a_proxy_that_leaves_is_forgotten(names: list[str]) -> None:
    outliers = Outliers()
    outliers.update(["a", "b"])
    eject(outliers, "a", 0.0)
    outliers.update(["b"])
    assert outliers.ejected(0.0) == set()
    outliers.update(names)
    assert outliers.ejected(0.0) == set()
