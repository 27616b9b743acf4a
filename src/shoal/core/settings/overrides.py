"""What a load request may change of a model: how it is run, never what it is.

The V2 repository API takes a `config` parameter: JSON with fields of `model.yaml`. Path, runtime, trust and whatever
else decides which code runs is refused: those belong to whoever owns the files.
"""

from __future__ import annotations

import msgspec

from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.model import Batching, Limits, ModelSpec
from shoal.core.settings.models import parse_model_file

ALLOWED = frozenset(
    {"description", "batchable", "pure", "hedge_after_ms", "allow_nonfinite", "parameters", "batching", "limits"}
)


def override(spec: ModelSpec, config: str) -> ModelSpec:
    """The spec with these fields changed; of `batching` and `limits` only what is said.

    Raises:
        InvalidInput: not JSON, an unknown or wrong field, or one that may not be changed.
    """
    try:
        fields = parse_model_file(config, "config")
    except ConfigError as error:
        raise InvalidInput(str(error), hint=error.hint, field="parameters.config") from error
    said = fields.model_dump(exclude_unset=True)
    if refused := sorted(said.keys() - ALLOWED):
        raise InvalidInput(
            f"a load request may not change {', '.join(refused)}",
            hint=f"it may change {', '.join(sorted(ALLOWED))}",
            field="parameters.config",
        )
    batching: Batching = msgspec.structs.replace(spec.batching, **_without_preset(said.pop("batching", {})))
    limits: Limits = msgspec.structs.replace(spec.limits, **said.pop("limits", {}))
    return msgspec.structs.replace(spec, **said, batching=batching, limits=limits)


def _without_preset(batching: dict[str, object]) -> dict[str, object]:
    if "preset" in batching:
        raise InvalidInput("a load request names batching's fields, not a preset", field="parameters.config")
    return batching
