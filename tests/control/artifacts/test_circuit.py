"""A source that is down is spared, and found again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.circuit import Circuit
from shoal.core.errors import NotFound, Unavailable

EVENTS = st.lists(st.tuples(st.sampled_from(["ok", "down", "gone"]), st.floats(0, 3)), max_size=60)


@given(EVENTS)
def test_it_lets_through_what_it_should(events: list[tuple[str, float]]) -> None:
    """A model of it: how often it failed in a row, and when it last failed."""
    now = 0.0
    circuit = Circuit(failures=3, seconds=2.0, clock=lambda: now)
    row, last = 0, 0.0
    for state, seconds in events:
        now += seconds
        asked = False

        def action(state: str = state) -> str:
            nonlocal asked
            asked = True
            if state == "ok":
                return "done"
            raise Unavailable("down") if state == "down" else NotFound("gone")

        try:
            circuit.call(action)
        except (Unavailable, NotFound) as error:
            spared = error.retry_after
        else:
            spared = None
        assert asked or 0 < (spared or 0) <= 2.0
        assert asked == (row < 3 or now >= last + 2.0)
        if asked:
            row, last = (row + 1, now) if state == "down" else (0, last)


def test_only_one_looks_again() -> None:
    now = 0.0
    circuit = Circuit(failures=1, seconds=2.0, clock=lambda: now)

    def down() -> None:
        raise Unavailable("down")

    with pytest.raises(Unavailable):
        circuit.call(down)
    now = 2.5

    def look() -> str:
        with pytest.raises(Unavailable, match="just failed"):
            circuit.call(lambda: "a second one")
        return "found"

    assert circuit.call(look) == "found"
    assert circuit.call(lambda: "all") == "all"
