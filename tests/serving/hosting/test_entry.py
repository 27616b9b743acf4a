from __future__ import annotations

import pytest

from shoal.core.model import Limits, ModelSpec
from shoal.serving.hosting.entry import slim


@pytest.mark.parametrize("pure", [True, False])
def test_what_is_not_in_memory_is_still_known_by_what_concerns_its_next_request(pure: bool) -> None:
    spec = ModelSpec(name="iris", path="/m", runtime="onnx", version="3", pure=pure, limits=Limits(timeout_seconds=7.0))
    small = slim(spec)
    assert (small.name, small.version, small.pure, small.limits.timeout_seconds) == ("iris", "3", pure, 7.0)
    assert not small.path
