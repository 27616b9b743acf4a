from __future__ import annotations

import pytest

from shoal.core.errors import InvalidInput, NotFound
from shoal.serving.gateway import lookup
from support.gateway_fakes import FakeHandle, FakeModels, handle


class Counted(FakeModels):
    """Counts how often somebody wants all models."""

    lists = 0

    def all(self) -> list[FakeHandle]:
        self.lists += 1
        return super().all()


def test_a_model_that_is_nowhere_is_answered_with_near_names() -> None:
    with pytest.raises(NotFound) as raised:
        lookup.find(FakeModels(handle("iris"), handle("wine")), "irsi")
    assert raised.value.hint == "did you mean iris?"


def test_a_model_that_is_still_to_be_looked_for_costs_no_comparison() -> None:
    models = Counted(handle("iris"))
    models.elsewhere["irsi", ""] = handle("irsi")
    with pytest.raises(NotFound, match="no model 'irsi'"):
        lookup.find(models, "irsi")
    assert models.lists == 0


def test_what_can_be_no_name_is_not_looked_for() -> None:
    models = FakeModels()
    for name, version in (("../etc", ""), ("iris", "1/2")):
        with pytest.raises(InvalidInput):
            lookup.find(models, name, version)
    assert models.finds == 0
