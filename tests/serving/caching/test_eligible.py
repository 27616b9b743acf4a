from __future__ import annotations

import msgspec
import pytest

from shoal.core.model import Limits, ModelSpec
from shoal.serving.caching.eligible import prefix_of, why_not

SPEC = ModelSpec(name="iris", path="/models/iris", runtime="sklearn", version="1", digest="d1", tenant="team-a")


def changed(**fields: object) -> ModelSpec:
    return msgspec.structs.replace(SPEC, **fields)


def test_a_model_may_have_a_cache_unless_its_answers_differ_or_its_content_has_no_name() -> None:
    assert why_not(SPEC) == ""
    assert "not deterministic" in why_not(changed(deterministic=False))
    assert "never registered" in why_not(changed(digest=""))


@pytest.mark.parametrize(
    "fields",
    [
        {"digest": "d2"},
        {"name": "i2"},
        {"version": "2"},
        {"tenant": "team-b"},
        {"parameters": {"a": 1}},
        {"environment": {"A": "1"}},
    ],
)
def test_what_may_change_an_answer_changes_the_prefix(fields: dict[str, object]) -> None:
    assert prefix_of(changed(**fields)) != prefix_of(SPEC)


@pytest.mark.parametrize(
    "fields", [{"path": "/elsewhere"}, {"limits": Limits(workers=9)}, {"pinned": True}, {"placement": "shared"}]
)
def test_speed_and_place_do_not(fields: dict[str, object]) -> None:
    assert prefix_of(changed(**fields)) == prefix_of(SPEC)


def test_tenants_share_answers_of_public_models_only() -> None:
    other = changed(tenant="team-b")
    assert prefix_of(other) != prefix_of(SPEC)
    assert prefix_of(other, public=True) == prefix_of(SPEC, public=True)
