from __future__ import annotations

import pytest

from shoal.serving.pool.processes.process import exit_reason


@pytest.mark.parametrize(
    ("code", "label"), [(0, "exit_0"), (3, "exit_3"), (-9, "SIGKILL"), (-11, "SIGSEGV"), (-99, "signal_99")]
)
def test_return_codes_have_names(code: int, label: str) -> None:
    assert exit_reason(code) == label
