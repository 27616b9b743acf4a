from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.keeping import Kept, Taken

CALLS = st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60)


def test_the_one_not_used_for_longest_goes() -> None:
    kept = Kept(2, held=[1, 2])
    kept.take(1)
    kept.give_back(1)
    assert kept.take(3) == Taken(load=True, victim=2)
    assert kept.held == [1, 3]


def test_what_is_loaded_is_not_loaded_again() -> None:
    kept = Kept(2)
    assert kept.take(1) == Taken(load=True)
    assert kept.take(1) == Taken(load=False)


def test_what_is_in_use_stays_even_if_there_are_more_than_may_be() -> None:
    kept = Kept(1)
    kept.take(1)
    assert kept.take(2) == Taken(load=True, victim=None)
    assert kept.held == [1, 2]


@given(CALLS, st.integers(1, 5))
def test_as_a_plain_list_would_do_it(sequence: list[tuple[int, bool]], limit: int) -> None:
    kept, order, using = Kept(limit), list[int](), list[int]()
    for model, returned in sequence:
        free = [each for each in order if each not in using and each != model]
        expected = Taken(load=model not in order)
        if expected.load and len(order) >= limit and free:
            expected = Taken(load=True, victim=free[0])
        assert kept.take(model) == expected
        order = [each for each in order if each not in (model, expected.victim)] + [model]
        using.append(model)
        if returned:
            kept.give_back(model)
            using.remove(model)
        assert kept.held == order
        assert set(using) <= set(order)
