"""Sizes and durations."""

from __future__ import annotations

import pytest

from shoal.core.settings import quantities


@pytest.mark.parametrize(
    ("text", "expected"),
    [(7, 7), ("7", 7), ("512Mi", 512 * 2**20), ("2G", 2 * 10**9), ("1.5k", 1500), ("2GiB", 2**31), ("10 MB", 10**7)],
)
def test_sizes(text: object, expected: int) -> None:
    assert quantities.size(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [(2, 2.0), ("2", 2.0), ("20ms", 0.02), ("1.5h", 5400.0), ("5 m", 300.0), ("100us", 1e-4)]
)
def test_durations(text: object, expected: float) -> None:
    assert quantities.seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(("text", "expected"), [(20, 20.0), ("20", 20.0), ("20ms", 20.0), ("1s", 1000.0)])
def test_a_bare_number_is_in_the_fields_unit(text: object, expected: float) -> None:
    assert quantities.milliseconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "x", "-1Mi", "1XB", "1 2", True, None, 1.5, "1e9", "٣Mi", "NaN"])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        quantities.size(text)


@pytest.mark.parametrize("text", ["", "x", "-1s", "1d", True, None, float("inf"), float("nan"), [1]])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        quantities.seconds(text)


@pytest.mark.parametrize(("text", "expected"), [("500m", 0.5), ("2", 2.0), (3, 3.0), (0.25, 0.25), ("2000m", 2.0)])
def test_processors_are_whole_or_in_part(text: object, expected: float) -> None:
    assert quantities.processors(text) == expected


@pytest.mark.parametrize("text", ["many", "2k", "-1", "", None, True, float("nan"), float("inf"), [1], "1 2"])
def test_other_texts_are_no_processors(text: object) -> None:
    with pytest.raises(ValueError, match="must be a number of processors"):
        quantities.processors(text)
