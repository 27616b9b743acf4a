"""Quotas in virtual time: how much comes through, what the refused are told, and what is remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import QuotaExceeded
from shoal.core.limits import TenantLimits
from shoal.core.metrics import Metrics
from shoal.serving.gateway import quotas
from shoal.serving.gateway.quotas import Bucket, Quotas


def make(default: TenantLimits | None = None, **tenants: TenantLimits) -> tuple[Quotas, Metrics]:
    metrics = Metrics()
    return Quotas(tenants, default, metrics=metrics), metrics


def counted(metrics: Metrics, tenant: str, outcome: str) -> int:
    (family,) = metrics.families
    return int(family.children[tenant, outcome].value)  # type: ignore[union-attr]


def admitted(served: Quotas, tenant: str, now: float, rows: int = 1) -> bool:
    try:
        served.enter(tenant, rows, now).leave()
    except QuotaExceeded:
        return False
    return True


@given(
    st.floats(0.5, 1000),
    st.floats(1, 100),
    st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 200)), max_size=100),
)
def test_in_no_time_more_is_taken_than_a_bucket_and_what_came_in_meanwhile(
    rate: float, burst: float, asked: list[tuple[float, float]]
) -> None:
    bucket = Bucket(rate, burst)
    now, taken = 0.0, [(0.0, 0.0)]
    for pause, count in asked:
        now += pause
        wait = bucket.wait(count, now)
        if wait == 0:
            bucket.take(count, now)
            taken.append((now, count))
        else:
            assert bucket.wait(count, now + wait + 1e-6) == 0
    largest = max(count for _, count in taken)
    for at, (since, _) in enumerate(taken):
        total = sum(count for _, count in taken[at:])
        assert total <= burst + largest + (now - since) * rate + 1e-6


def test_a_tenant_gets_its_rate_and_others_theirs() -> None:
    served, metrics = make(a=TenantLimits(rate=10, burst=5), b=TenantLimits(rate=100))
    came = {"a": 0, "b": 0, "": 0}
    for millisecond in range(10_000):
        for tenant in came:
            came[tenant] += admitted(served, tenant, millisecond / 1000)
    assert came["a"] == pytest.approx(105, abs=1)
    assert came["b"] == pytest.approx(1100, abs=2)
    assert came[""] == 10_000
    assert counted(metrics, "a", "admitted") == came["a"]
    assert counted(metrics, "a", "requests") == 10_000 - came["a"]


def test_who_is_refused_is_told_why_and_when_to_come_again() -> None:
    served, _ = make(a=TenantLimits(rate=2, burst=1))
    served.enter("a", 1, 100.0)
    with pytest.raises(QuotaExceeded, match="'a' is above its quota: it sends requests faster than it may") as caught:
        served.enter("a", 1, 100.1)
    assert caught.value.retry_after == pytest.approx(0.4)
    served.enter("a", 1, 100.1 + caught.value.retry_after)


def test_rows_count_and_one_request_larger_than_the_bucket_comes_through_a_full_one() -> None:
    served, metrics = make(a=TenantLimits(rows_per_second=10, rows_burst=20))
    assert admitted(served, "a", 0.0, rows=50)
    assert not admitted(served, "a", 2.9, rows=1)
    assert not admitted(served, "a", 4.9, rows=50)
    assert admitted(served, "a", 3.2, rows=1)
    assert admitted(served, "a", 5.2, rows=50)
    assert counted(metrics, "a", "rows") == 2


def test_a_request_that_is_refused_for_its_rows_costs_no_request() -> None:
    served, _ = make(a=TenantLimits(rate=1, burst=1, rows_per_second=1, rows_burst=1))
    assert admitted(served, "a", 0.0)
    assert not admitted(served, "a", 0.99, rows=1)
    assert admitted(served, "a", 1.01, rows=1)


def test_places_are_given_back_with_the_outcome() -> None:
    served, metrics = make(a=TenantLimits(concurrency=2))
    held = [served.enter("a", 1, 0.0), served.enter("a", 1, 0.0)]
    assert not admitted(served, "a", 0.0)
    held.pop().leave()
    assert admitted(served, "a", 0.0)
    assert counted(metrics, "a", "concurrency") == 1


def test_the_default_holds_for_all_that_are_not_named_each_by_itself() -> None:
    served, _ = make(TenantLimits(rate=1, burst=1), a=TenantLimits())
    assert [admitted(served, tenant, 0.0) for tenant in ("x", "x", "y", "", "a", "a")] == [
        True, False, True, True, True, True,
    ]  # fmt: skip


def test_tenants_without_requests_are_forgotten_and_too_many_share_a_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "MOST_TENANTS", 100)
    served, _ = make(TenantLimits(rate=1, burst=1))
    assert all(admitted(served, f"t{number}", 10.0 * number) for number in range(1000))
    assert len(served._meters) <= 100
    assert sum(admitted(served, f"u{number}", 20_000.0) for number in range(200)) == 101
    assert admitted(served, "t5", 20_000.0) is False
    assert len(served._meters) <= 100


def test_the_metrics_name_a_bounded_number_of_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "MOST_LABELS", 3)
    served, metrics = make(TenantLimits(), named=TenantLimits(rate=1))
    for number in range(50):
        admitted(served, f"t{number}", 0.0)
    admitted(served, "named", 0.0)
    (family,) = metrics.families
    assert {tenant for tenant, _ in family.children} == {"named", "other", "t0", "t1", "t2"}
    assert counted(metrics, "other", "admitted") == 47
