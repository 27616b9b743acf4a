"""Settings of tenants: what each may ask of a node, and its share where there is not enough for all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from pydantic import BaseModel, ConfigDict, Field

from shoal.core.limits import TenantLimits

DEFAULT = "default"
"""The name of what holds for all tenants that are not named, and where nobody is authenticated."""


class TenantSettings(BaseModel):
    """What one tenant may ask for; a tenant is whom an API key or a token counts to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: float | None = Field(None, gt=0, description="Requests a second in the long run; by default any number.")
    burst: float | None = Field(
        None, ge=1, description="Requests at once after a pause; by default those of a second, at least one."
    )
    rows_per_second: float | None = Field(None, gt=0, description="Rows a second in the long run; by default any.")
    rows_burst: float | None = Field(None, ge=1, description="Rows at once; by default those of a second.")
    concurrency: int | None = Field(None, ge=1, description="Requests without an outcome; by default any number.")
    weight: float = Field(
        1.0, ge=0.01, le=100, description="Its share of a model's workers, against others that wait for that model."
    )

    def part(self, processes: int) -> TenantSettings:
        """What each of so many processes lets in, that share the requests among them."""
        update = {
            "rate": self.rate and self.rate / processes,
            "burst": self.burst and max(1.0, self.burst / processes),
            "rows_per_second": self.rows_per_second and self.rows_per_second / processes,
            "rows_burst": self.rows_burst and max(1.0, self.rows_burst / processes),
            "concurrency": self.concurrency and math.ceil(self.concurrency / processes),
        }
        return self.model_copy(update=update)

    @property
    def limits(self) -> TenantLimits:
        return TenantLimits(**self.model_dump())


Tenants = Mapping[str, TenantSettings]


def limits_of(tenants: Tenants) -> dict[str, TenantLimits]:
    """The limits of the tenants that are named."""
    return {name: each.limits for name, each in tenants.items() if name != DEFAULT}


def are_limited(tenants: Tenants) -> bool:
    """Whether any of them has a quota, so that somebody must count."""
    return any(each.limits != TenantLimits(weight=each.weight) for each in tenants.values())


def weight_of(tenants: Tenants) -> Callable[[str], float]:
    """Tells each tenant's weight."""
    weights = {name: each.weight for name, each in tenants.items() if name != DEFAULT}
    default = tenants[DEFAULT].weight if DEFAULT in tenants else 1.0
    return lambda tenant: weights.get(tenant, default)
