from __future__ import annotations

import pytest
from pydantic import ValidationError

from shoal.core.limits import TenantLimits
from shoal.core.settings.node import NodeSettings
from shoal.core.settings.tenants import TenantSettings, are_limited, limits_of, weight_of

TENANTS = {
    "default": {"rate": 10, "weight": 0.5},
    "research": {"rate": 100, "burst": 8, "rows_per_second": 1000, "rows_burst": 2, "concurrency": 6, "weight": 4},
}


def tenants() -> dict[str, TenantSettings]:
    return NodeSettings.model_validate({"tenants": TENANTS}).tenants


def test_limits_and_weights_are_by_name_and_the_default_is_for_all_others() -> None:
    assert list(limits_of(tenants())) == ["research"]
    assert tenants()["default"].limits == TenantLimits(rate=10, weight=0.5)
    weight = weight_of(tenants())
    assert (weight("research"), weight("anybody"), weight("")) == (4, 0.5, 0.5)
    assert weight_of({})("anybody") == 1.0


def test_weights_alone_are_no_quota() -> None:
    assert are_limited(tenants())
    assert not are_limited({"a": TenantSettings.model_validate({"weight": 3})})
    assert not are_limited({})


def test_of_four_processes_each_lets_in_a_quarter_and_something_at_least() -> None:
    part = tenants()["research"].part(4)
    assert part.limits == TenantLimits(rate=25, burst=2, rows_per_second=250, rows_burst=1, concurrency=2, weight=4)
    assert TenantSettings.model_validate(part.model_dump()) == part
    assert TenantSettings.model_validate({}).part(4).limits == TenantLimits()


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"burst": 0.5}, {"concurrency": 0}, {"weight": 0}, {"requests": 1}])
def test_what_would_let_nobody_in_or_is_not_known_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        TenantSettings.model_validate(wrong)
