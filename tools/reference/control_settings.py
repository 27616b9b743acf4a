"""The page of the control process's settings: each field with type, default, variable and option."""

from __future__ import annotations

import inspect
from typing import Any

from reference.markdown import block, code, page, table
from reference.model_settings import kind_of

from shoal.cli.control import control
from shoal.core.settings.control import HOME_VARIABLE, PREFIX, ControlSettings

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
        "`issuers` belong into the file; they are written as [those of a node](settings.md#authissuers).",
        "## Other variables",
        OTHER_VARIABLES,
    )


def _fields() -> str:
    options = set(inspect.signature(control).parameters)
    return table(
        ("field", "type", "default", "variable", "option", "meaning"),
        (
            (
                f"`{name}`",
                _kind(each),
                _default(each.get("default")),
                "" if name == "issuers" else f"`{HOME_VARIABLE if name == 'home' else PREFIX + name.upper()}`",
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
