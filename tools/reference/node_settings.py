"""The page of the node's settings: each field of `NodeSettings` and `WireLimits` with unit, default and variable."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

from reference.markdown import block, code, page, table
from reference.model_settings import kind_of

from shoal.cli.serve import serve
from shoal.core.limits import WireLimits
from shoal.core.settings.node import PREFIX, NodeSettings

EXAMPLE = """\
# shoal.yaml
port: 9000
watch: true
grace_seconds: 20
limits:
  body_bytes: 16777216
  connections: 2000
"""

INTRODUCTION = """\
A node needs no settings: `shoal serve models/` works with these defaults. Values come, the later over the earlier,
from a file (`shoal serve --config shoal.yaml`), from the environment, and from the command line.
"""

LIMITS = """\
What one client may cost before its request is complete. None of them can be turned off; each must be above 0.
"""

OTHER_VARIABLES = """\
`SHOAL_URL`, `SHOAL_KEY` and `SHOAL_CA` are no settings of a node: they stand for `--url`, `--key` and `--ca` of the
commands that call one ([cli.md](cli.md)).
"""

UNITS = {"bytes": "bytes", "seconds": "seconds"}


def schema() -> dict[str, Any]:
    """The JSON Schema of `shoal.yaml`, with the meaning of each limit."""
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | NodeSettings.model_json_schema()
    meanings = _meanings()
    for name, each in made["$defs"]["LimitsSettings"]["properties"].items():
        each["description"] = f"{meanings[name]} (unit: {_unit(name)})"
    return made


def make() -> str:
    """The page."""
    NodeSettings.model_validate({"port": 9000, "limits": {"body_bytes": 1}})
    return page(
        "Settings of a node",
        INTRODUCTION,
        block(EXAMPLE, "yaml"),
        "The JSON Schema for editors is [node.schema.json](node.schema.json).",
        "## Fields",
        _fields(),
        "## `limits`",
        LIMITS,
        _limits(),
        "## Other variables",
        OTHER_VARIABLES,
    )


def _fields() -> str:
    properties = NodeSettings.model_json_schema()["properties"]
    options = set(inspect.signature(serve).parameters)
    return table(
        ("field", "type", "default", "variable", "option", "meaning"),
        (
            (
                f"`{name}`",
                _kind(each),
                code(each.get("default")),
                f"`{PREFIX}{name.upper()}`",
                f"`--{name.replace('_', '-')}`" if name in options else "",
                each["description"],
            )
            for name, each in properties.items()
            if name != "limits"
        ),
    )


def _kind(field: dict[str, Any]) -> str:
    paths = [each for each in field.get("anyOf", ()) if each.get("format") == "path"]
    return "path" if paths else kind_of(field)


def _limits() -> str:
    meanings = _meanings()
    return table(
        ("field", "unit", "default", "variable", "meaning"),
        (
            (
                f"`{field.name}`",
                _unit(field.name),
                code(field.default) + _rounded(field.name, field.default),
                f"`{PREFIX}LIMITS__{field.name.upper()}`",
                meanings[field.name],
            )
            for field in dataclasses.fields(WireLimits)
        ),
    )


def _unit(name: str) -> str:
    return UNITS.get(name.rpartition("_")[2], "number")


def _rounded(name: str, value: Any) -> str:
    if _unit(name) != "bytes":
        return ""
    return f" ({value // 1024**2} MiB)" if value >= 1024**2 else f" ({value // 1024} KiB)"


def _meanings() -> dict[str, str]:
    """What the docstring of `WireLimits` says of each field."""
    text = inspect.getdoc(WireLimits) or ""
    told = re.findall(r"^ {4}(\w+): (.+?)$", text.partition("Attributes:")[2], flags=re.MULTILINE)
    return {name: meaning[:1].upper() + meaning[1:] for name, meaning in told}
