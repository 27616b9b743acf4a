"""Silence, and whose fault it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.serving.peering.pulse import DEAD_SECONDS, SUSPECT_SECONDS, Pulse, Standing


def watched(silent: float, step: float = 0.1) -> Standing:
    pulse, now = Pulse(100.0), 100.0
    standing = Standing.FINE
    while now < 100.0 + silent:
        now += step
        standing = pulse.look(now)
    return standing


@given(st.floats(0.0, 6.0))
def test_silence_makes_a_proxy_suspect_and_then_dead(silent: float) -> None:
    standing = watched(silent)
    if silent < SUSPECT_SECONDS - 0.2:
        assert standing is Standing.FINE
    elif SUSPECT_SECONDS < silent < DEAD_SECONDS - 0.2:
        assert standing is Standing.SUSPECT
    elif silent > DEAD_SECONDS:
        assert standing is Standing.DEAD


def test_a_word_clears_it() -> None:
    pulse = Pulse(0.0)
    for now in (0.4, 0.8, 1.2):
        standing = pulse.look(now)
    assert standing is Standing.SUSPECT
    pulse.heard(1.25)
    assert pulse.look(1.3) is Standing.FINE


@given(st.floats(0.6, 1000.0))
def test_nobody_is_blamed_for_a_pause_of_our_own(pause: float) -> None:
    pulse = Pulse(0.0)
    assert pulse.look(0.1) is Standing.FINE
    assert pulse.look(0.1 + pause) is Standing.FINE
