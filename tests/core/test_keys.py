"""API keys: what is generated is read again, and one wrong character is seen."""

from __future__ import annotations

import os
import time
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from shoal.core import keys

KEY = keys.generate()


def test_a_generated_key_is_read_again() -> None:
    for _ in range(50):
        key = keys.generate()
        assert keys.parse(key.text) == key.id
        assert len(key.id) == 12
        assert len(key.text) == 78


def test_no_two_keys_are_alike() -> None:
    generated = [keys.generate() for _ in range(200)]
    assert len({key.id for key in generated}) == 200
    assert len({key.text for key in generated}) == 200


@given(st.integers(19, 77), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_one_wrong_character_is_a_mistyped_key(place: int, character: str) -> None:
    text = KEY.text[:place] + character + KEY.text[place + 1 :]
    if text == KEY.text:
        return
    with pytest.raises(ValueError, match=r"mistyped|not an API key") as caught:
        keys.parse(text)
    assert text[20:] not in str(caught.value)


@given(st.text(max_size=100))
def test_other_text_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="not an API key"):
        keys.parse(text)


@pytest.mark.parametrize(
    "change", [str.upper, lambda text: text + "\n", lambda text: text[:-1], lambda text: " " + text]
)
def test_a_key_is_taken_as_it_is_or_not_at_all(change: object) -> None:
    assert callable(change)
    with pytest.raises(ValueError, match="not an API key"):
        keys.parse(change(KEY.text))


def test_a_key_matches_its_digest_only() -> None:
    other = keys.generate()
    assert keys.matches(KEY.text, keys.digest(KEY.text))
    assert not keys.matches(other.text, keys.digest(KEY.text))
    assert not keys.matches(KEY.text, None)
    assert not keys.matches("", None)


def test_what_is_kept_does_not_hold_the_key() -> None:
    secret = KEY.text.split("_")[2]
    assert secret not in keys.digest(KEY.text)
    assert len(keys.digest(KEY.text)) == 64


@pytest.mark.slow
def test_a_wrong_key_takes_as_long_wherever_it_is_wrong() -> None:
    """Keys that are wrong from the first character of the secret, and from its last, in turn: no t-test tells them apart."""
    pairs = int(os.environ.get("SHOAL_KEY_TIMINGS", "50000"))
    kept = keys.digest(KEY.text)
    wrong = [KEY.text[:at] + ("a" if KEY.text[at] != "a" else "b") + KEY.text[at + 1 :] for at in (19, 77)]
    taken: list[list[int]] = [[], []]
    for turn in range(pairs):
        for text, times in list(zip(wrong, taken, strict=True))[:: 1 if turn % 2 else -1]:
            started = time.perf_counter_ns()
            keys.matches(text, kept)
            times.append(time.perf_counter_ns() - started)
    first, last = (
        sorted(each)[: int(pairs * 0.9)] for each in taken
    )  # what the machine did meanwhile is no difference
    assert stats.ttest_ind(first, last, equal_var=False).pvalue > 0.01 or abs(mean(first) / mean(last) - 1) < 0.01
