"""Whether more fits: what grows is held against its limit, what does not is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import QuotaExceeded, StorageQuotaExceeded
from shoal.core.quotas import KINDS, UNLIMITED, Holding, Limits, check, limited

COUNTS = st.integers(0, 5)
HOLDINGS = st.builds(Holding, models=COUNTS, versions=COUNTS, services=COUNTS, bytes=COUNTS)
SOME = st.none() | COUNTS
LIMITS = st.builds(Limits, models=SOME, versions=SOME, services=SOME, bytes=SOME)


@given(LIMITS, HOLDINGS, HOLDINGS)
def test_it_is_refused_if_and_only_if_something_grows_beyond_its_limit(
    limits: Limits, used: Holding, added: Holding
) -> None:
    def above(kind: str) -> bool:
        limit, more = getattr(limits, kind), getattr(added, kind)
        return limit is not None and more > 0 and getattr(used, kind) + more > limit

    crossed = [kind for kind in KINDS if above(kind)]
    assert set(crossed) <= set(limited(limits, added))
    if not crossed:
        check("team", limits, used, added)
        return
    with pytest.raises(QuotaExceeded) as told:
        check("team", limits, used, added)
    assert isinstance(told.value, StorageQuotaExceeded) is (crossed == ["bytes"])
    assert f"may hold {getattr(limits, crossed[0])} {crossed[0]}" in told.value.message
    assert f"holds {getattr(used, crossed[0])}" in told.value.message
    assert "quotas" in told.value.hint


@given(HOLDINGS, HOLDINGS)
def test_without_limits_everything_fits_and_nothing_is_counted(used: Holding, added: Holding) -> None:
    check("team", UNLIMITED, used, added)
    assert limited(UNLIMITED, added) == ()
