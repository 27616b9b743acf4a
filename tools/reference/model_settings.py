"""The page of `model.yaml`: every field with type, default and meaning, presets, and an example that is valid."""

from __future__ import annotations

from typing import Any

from reference.markdown import block, code, page, table

from shoal.core.model import Batching
from shoal.core.settings import model_file_schema, parse_model_file
from shoal.core.settings.models import PRESETS

EXAMPLE = """\
# churn/model.yaml, beside churn/model.joblib
description: How likely it is that a customer leaves.
runtime: sklearn
path: model.joblib
trust: code                   # a pickle: ours, so it may be loaded
inputs:
  - {name: inputs, datatype: FP64, shape: [-1, 4]}
parameters:
  outputs: [predict, predict_proba]
warmup:
  - inputs: [{name: inputs, shape: [1, 4], datatype: FP64, data: [5.1, 3.5, 1.4, 0.2]}]
environment:
  LANG: C.UTF-8
batching:
  preset: auto
  latency_target_ms: 50ms
  queue_rows: 4096
limits:
  workers: 2
  memory_bytes: 512Mi
  timeout_seconds: 10s
"""

INTRODUCTION = """\
A `model.yaml` lies beside the model's files. No field is required: what is not said is told from the files, or has
the default given here. A field that is not known, a value out of its bounds, or text where a number belongs is
refused, with the file's name, the line and what was meant.

For completion in an editor, put this line at the top of the file:

    # yaml-language-server: $schema=PATH/TO/docs/reference/model.schema.json
"""

SECTIONS = (
    ("inputs[], outputs[]", "TensorFields"),
    ("batching", "BatchingFields"),
    ("limits", "LimitsFields"),
)

QUANTITIES = """\
A size is a number of bytes, or has a unit: `k`, `M`, `G`, `T` (thousands), `Ki`, `Mi`, `Gi`, `Ti` (1,024s). A
duration is a number in the unit of the field's name, or has one: `us`, `ms`, `s`, `m`, `h`.
"""


def make() -> str:
    """The page."""
    parse_model_file(EXAMPLE)
    schema = model_file_schema()
    parts = [INTRODUCTION, block(EXAMPLE, "yaml"), "## Fields", fields_of(schema)]
    for title, name in SECTIONS:
        kind = schema["$defs"][name]
        parts += [f"## `{title}`", kind["description"], fields_of(kind)]
        if name == "BatchingFields":
            parts += ["What the presets stand for:", _presets()]
    return page("model.yaml", *parts, "## Sizes and durations", QUANTITIES)


def fields_of(schema: dict[str, Any]) -> str:
    """The table of all fields of a schema."""
    required = schema.get("required", ())
    return table(
        ("field", "type", "default", "meaning"),
        (
            (f"`{name}`", kind_of(each), "required" if name in required else _default(each), each["description"])
            for name, each in schema["properties"].items()
        ),
    )


def kind_of(schema: dict[str, Any]) -> str:
    """The type of a field and its bounds, in words."""
    if "anyOf" in schema:
        kinds = [kind_of(each) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(kinds)
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return ", ".join(map(code, schema["enum"]))
    if "$ref" in schema:
        return "fields, see below"
    kind = schema.get("type")
    if kind == ["number", "string"]:
        return "quantity"
    if isinstance(kind, list):
        return " or ".join(_WORDS[each] for each in kind)
    if kind == "array":
        return f"list of {_PLURALS.get(of := kind_of(schema['items']), of)}"
    return _WORDS[str(kind)] + _bounds(schema)


_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping",
}


_PLURALS = {"whole number": "whole numbers", "text or mapping": "texts or mappings"}


def _bounds(schema: dict[str, Any]) -> str:
    lowest = schema.get("minimum", schema.get("exclusiveMinimum"))
    highest = schema.get("maximum")
    if lowest is not None and highest is not None:
        return f", {lowest:,} to {highest:,}"
    if lowest is not None:
        return f", at least {lowest:,}" if "minimum" in schema else f", above {lowest:,}"
    return f", at most {schema['maxLength']:,} characters" if "maxLength" in schema else ""


def _default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    return "" if value in (None, "", [], {}) or isinstance(value, dict) else code(value)


def _presets() -> str:
    names = [name for name in Batching.__struct_fields__ if len({getattr(each, name) for each in PRESETS.values()}) > 1]
    alike = [name for name in Batching.__struct_fields__ if name not in names]
    rows = [
        (f"`{preset}`", *(code(_shown(name, getattr(values, name))) for name in names))
        for preset, values in PRESETS.items()
    ]
    same = ", ".join(f"`{name}` {_shown(name, getattr(Batching(), name))}" for name in alike)
    return table(("preset", *names), rows) + f"\n\nAlike in all of them: {same}."


def _shown(name: str, value: Any) -> Any:
    if name == "queue_bytes":
        return f"{value // 1024**2}Mi"
    return "auto" if value is None and name == "max_size" else "none" if value is None else value
