"""The page of the node's settings: each field of `NodeSettings`, pools, cards and `WireLimits`, with its variable."""

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
# of a node that serves a registry:
environments: [production]
cache: 50Gi
pools:
  shared: {workers: 4, memory: 2Gi, preload: [sklearn]}
  large: {workers: 1, memory: 8Gi, idle_seconds: null}
devices:
  - {id: "0", memory: 24Gi, model: nvidia-a30}
"""

INTRODUCTION = """\
A node needs no settings: `shoal serve models/`, for files, and `shoal serve`, for a registry, work with these defaults.
Values come, the later over the earlier, from a file (`shoal serve --config shoal.yaml`), from the environment, and from
the command line. A list or a mapping belongs into the file.
"""

POOLS = """\
Shared pools by name: worker processes that hold many models each ([many-models.md](../guides/many-models.md)). By
default there is one, `shared`, from which models without a service are served; name it, too, when you name others.
"""

DEVICES = """\
The accelerators of this machine that services may ask for. Nothing is looked for: what is not named here is not given
out.
"""

OUTGOING = """\
What models may fetch with `shoal.fetch` and `ImageCodec.fetch` from addresses that callers name; a model that says more
says it in its own code. A variable holds one field: `SHOAL_OUTGOING__PRIVATE=true`.
"""

AUTH = """\
Who is let in at the data port ([access.md](../guides/access.md)). A variable holds one field: `SHOAL_AUTH__MODE=keys`.
Issuers and certificates belong into the file.
"""

TENANTS = """\
What tenants may ask for, by name; `default` is for all others ([overload.md](../guides/overload.md#tenants)).
"""

SIZES = """\
A size is a number of bytes, or has a unit: `k`, `M`, `G`, `T` (thousands), `Ki`, `Mi`, `Gi`, `Ti` (1,024s).
"""

LIMITS = """\
What one client may cost before its request is complete. None of them can be turned off; each must be above 0.
"""

OTHER_VARIABLES = """\
`SHOAL_URL`, `SHOAL_API_KEY` and `SHOAL_CA` are no settings of a node: they tell the commands that call one where it is,
who asks, and whom to trust ([cli.md](cli.md)).
"""

ONLY_IN_FILES = ("environments", "pools", "devices", "outgoing", "auth", "tenants")
"""Lists and mappings, which a variable does not hold."""
SIZE = ["integer", "string"]
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
    kinds = NodeSettings.model_json_schema()["$defs"]
    return page(
        "Settings of a node",
        INTRODUCTION,
        block(EXAMPLE, "yaml"),
        "The JSON Schema for editors is [node.schema.json](node.schema.json).",
        "## Fields",
        _fields(),
        "## `pools`",
        POOLS,
        _nested(kinds["PoolSettings"]),
        "## `devices[]`",
        DEVICES,
        _nested(kinds["CardSettings"]),
        "## `outgoing`",
        OUTGOING,
        _nested(kinds["OutgoingSettings"]),
        "## `auth`",
        AUTH,
        _nested(kinds["AuthSettings"]),
        "### `auth.issuers[]`",
        _nested(kinds["IssuerSettings"]),
        "Each of `grants` is a list of:",
        _nested(kinds["GrantSettings"]),
        "## `tenants`",
        TENANTS,
        _nested(kinds["TenantSettings"]),
        "## `limits`",
        LIMITS,
        _limits(),
        "## Sizes",
        SIZES,
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
                _default(each),
                "" if name in ONLY_IN_FILES else f"`{PREFIX}{name.upper()}`",
                f"`--{name.replace('_', '-')}`" if name in options else "",
                each["description"],
            )
            for name, each in properties.items()
            if name != "limits"
        ),
    )


def _nested(kind: dict[str, Any]) -> str:
    """The table of the fields of a pool or a card."""
    required = kind.get("required", ())
    return table(
        ("field", "type", "default", "meaning"),
        (
            (f"`{name}`", _kind(each), "required" if name in required else _default(each), each["description"])
            for name, each in kind["properties"].items()
        ),
    )


def _kind(field: dict[str, Any]) -> str:
    kinds = field.get("anyOf", (field,))
    if any(each.get("format") == "path" for each in kinds):
        return "path"
    return "size" if any(each.get("type") == SIZE for each in kinds) else kind_of(field)


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if value in (None, [], ()) or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return code(", ".join(map(str, value)))
    if _kind(field) == "size":
        return f"`{value // 1024**3}Gi`" if value % 1024**3 == 0 else f"`{value // 1024**2}Mi`"
    return code(value)


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
