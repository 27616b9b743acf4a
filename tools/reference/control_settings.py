"""The page of the control process's settings: each field with type, default, variable and option."""

from __future__ import annotations

import inspect
from typing import Any

from reference.markdown import block, code, page, table
from reference.model_settings import kind_of

from shoal.cli.control import control
from shoal.core.settings.control import HOME_VARIABLE, PREFIX, ControlSettings
from shoal.core.settings.quotas import QuotaSettings

EXAMPLE = """\
# control.yaml
registry: postgresql://shoal@db.example/shoal
artifacts: s3://models/shoal
names: [control.example]
uploads: 16
"""

INTRODUCTION = """\
Control needs no settings: `shoal control` works with these defaults. Values come, the later over the earlier, from a
file (`shoal control --config control.yaml`), from the environment, and from the command line. Lists in the environment
are separated by commas.

Passwords are not written into settings: the database's come from `PGPASSWORD` or a `.pgpass` file, those of an object
store from its own variables, such as `AWS_ACCESS_KEY_ID`.
"""

IN_FILE = ("issuers", "certificates", "quotas")

QUOTAS = """\
What namespaces may hold, by name; `*` is for all others, and for what is not said of one that is named: null is any
amount then. A change that does not fit is refused, and a lower limit takes nothing away:
[registry.md](../guides/registry.md#quotas).
"""

QUOTAS_EXAMPLE = """\
quotas:
  "*": {models: 100, versions: 2000, services: 50, bytes: 50Gi}
  fraud: {bytes: 500Gi, models: null}
"""

OTHER_VARIABLES = """\
`SHOAL_CONTROL` is no setting of control: it stands for `--control` of the commands that call one ([cli.md](cli.md)).
"""


def schema() -> dict[str, Any]:
    """The JSON Schema of `control.yaml`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | ControlSettings.model_json_schema()


def make() -> str:
    """The page."""
    return page(
        "Settings of control",
        INTRODUCTION,
        block(EXAMPLE, "yaml"),
        "The JSON Schema for editors is [control.schema.json](control.schema.json).",
        "## Fields",
        _fields(),
        "`issuers`, `certificates` and `quotas` belong into the file; the first two as [those of a node]"
        "(settings.md#authissuers).",
        "## `quotas`",
        QUOTAS,
        block(QUOTAS_EXAMPLE, "yaml"),
        _quotas(),
        "## Other variables",
        OTHER_VARIABLES,
    )


def _quotas() -> str:
    fields = QuotaSettings.model_json_schema()["properties"].items()
    return table(
        ("field", "type", "meaning"), ((f"`{name}`", _amount(each), each["description"]) for name, each in fields)
    )


def _amount(field: dict[str, Any]) -> str:
    sized = any(each.get("type") == ["integer", "string"] for each in field["anyOf"])
    return "size" if sized else kind_of(field)


def _fields() -> str:
    options = set(inspect.signature(control).parameters)
    return table(
        ("field", "type", "default", "variable", "option", "meaning"),
        (
            (
                f"`{name}`",
                _kind(each),
                _default(each.get("default")),
                "" if name in IN_FILE else f"`{HOME_VARIABLE if name == 'home' else PREFIX + name.upper()}`",
                f"`--{name.replace('_', '-')}`" if name in options else "",
                each["description"],
            )
            for name, each in ControlSettings.model_json_schema()["properties"].items()
        ),
    )


def _kind(field: dict[str, Any]) -> str:
    paths = [each for each in (field, *field.get("anyOf", ())) if each.get("format") == "path"]
    return "path" if paths else kind_of(field)


def _default(value: Any) -> str:
    return "" if value in (None, []) else code(value)
