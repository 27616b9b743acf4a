import pytest

from shoal.core.errors import InvalidInput
from shoal.core.model import Batching, Limits, ModelSpec
from shoal.core.settings.overrides import override

SPEC = ModelSpec(name="m", path="/m", runtime="onnx", batching=Batching(max_wait_ms=7.0), limits=Limits(threads=2))


def test_only_what_is_said_changes() -> None:
    changed = override(SPEC, '{"batching": {"max_size": 8}, "limits": {"timeout_seconds": "2s"}, "pure": false}')
    assert changed.batching == Batching(max_wait_ms=7.0, max_size=8)
    assert changed.limits == Limits(threads=2, timeout_seconds=2.0)
    assert (changed.pure, changed.path) == (False, "/m")


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ('{"path": "/etc"}', "path"),
        ('{"trust": "code"}', "trust"),
        ('{"batching": {"max_sise": 8}}', "max_sise"),
        ('{"batching": {"preset": "latency"}}', "preset"),
        ("[1]", "config"),
        ("{", "config"),
    ],
)
def test_what_the_model_is_may_not_be_changed(config: str, named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        override(SPEC, config)
