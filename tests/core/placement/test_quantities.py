from __future__ import annotations

import pytest

from shoal.core.placement.quantities import size


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (24 << 30, "24 GiB"), (3 << 50, "3072 TiB")],
)
def test_a_size_is_told_in_the_unit_that_reads_best(count: int, text: str) -> None:
    assert size(count) == text
