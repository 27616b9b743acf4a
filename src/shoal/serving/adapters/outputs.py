"""Names for what a network gives back, which may be an array, several, or a mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shoal.core.errors import ModelContract


def named(result: Any, names: Sequence[str] = ()) -> dict[str, Any]:
    """The outputs by name: their own, those that are given, or `predict` for a single one and `output_0`, ... for more.

    Args:
        result: one output, a list or tuple, or a mapping.
        names: names by position, used when there are as many.
    """
    if isinstance(result, Mapping):
        return {str(name): value for name, value in result.items()}
    values = list(result) if isinstance(result, (list, tuple)) else [result]
    if names and len(names) != len(values):
        raise ModelContract(f"the model gave {len(values)} outputs, its settings name {len(names)}")
    if not names:
        names = ["predict"] if len(values) == 1 else [f"output_{number}" for number in range(len(values))]
    return dict(zip(names, values, strict=True))
