"""The page of the command line: every command, argument and option as Typer has them, with the commands' examples."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer.main
from reference.markdown import block, code, page, table

from shoal.cli.main import app

INTRODUCTION = """\
`shoal --help` and `shoal COMMAND --help` show the same. `shoal --version` prints the version; `shoal
--install-completion` sets up completion for your shell.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the work failed, or the server answered with an error |
| 2 | wrong usage, wrong settings or files, or no server |
| 130 | interrupted |
"""

SAID_DEFAULT = re.compile(r" [\[(]default: ([^\])]+)[\])]")
"""A default that is told in the help, as its option has none of its own."""

WORDS: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "", Path: "path"}


def make() -> str:
    """The page."""
    group: Any = typer.main.get_command(app)
    sections = [
        _command(name, command, typing.get_type_hints(command.callback.__wrapped__))
        for name, command in _flat(group.commands)
        if not command.hidden
    ]
    return page("The command line", INTRODUCTION, *sections)


def _flat(commands: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Commands with their whole names, those of groups among them."""
    for name, command in commands.items():
        if hasattr(command, "commands"):
            yield from _flat(command.commands, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _command(name: str, command: Any, hints: dict[str, Any]) -> str:
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    arguments = [each for each in shown if each.param_type_name == "argument"]
    options = [each for each in shown if each.param_type_name == "option"]
    usage = " ".join(["shoal", name, *(_placeholder(each) for each in arguments), *["[OPTIONS]"] * bool(options)])
    parts = [f"## `shoal {name}`", command.help.strip(), block(usage, "text")]
    if arguments:
        rows = [(f"`{each.name.upper()}`", _kind(hints[each.name]), each.help) for each in arguments]
        parts.append(table(("argument", "type", "meaning"), rows))
    if options:
        told = [_option(each, hints[each.name]) for each in options]
        parts.append(table(("option", "type", "default", "meaning"), told))
    return "\n\n".join([*parts, *_epilog(command.epilog)])


def _placeholder(argument: Any) -> str:
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _option(option: Any, hint: Any) -> tuple[str, str, str, str]:
    meaning, default = option.help or "", _default(option.default)
    if said := SAID_DEFAULT.search(meaning):
        meaning, default = meaning.replace(said[0], ""), code(said[1])
    if option.envvar:
        meaning += f" Variable: `{option.envvar}`."
    return ", ".join(f"`{each}`" for each in option.opts), _kind(hint) + _bounds(option), default, meaning


def _default(value: Any) -> str:
    if value is None or value is False or callable(value):
        return ""
    return code(value.value if isinstance(value, Enum) else value)


def _kind(hint: Any) -> str:
    if isinstance(hint, types.UnionType):
        return " or ".join(_kind(each) for each in hint.__args__ if each is not types.NoneType)
    if typing.get_origin(hint) is list:
        return f"{_kind(hint.__args__[0])}, many"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ", ".join(f"`{each.value}`" for each in hint)
    return WORDS[hint]


def _bounds(option: Any) -> str:
    lowest, highest = getattr(option, "min", None), getattr(option, "max", None)
    if lowest is not None and highest is not None:
        return f", {lowest:g} to {highest:g}"
    return f", at least {lowest:g}" if lowest is not None else ""


def _epilog(text: str | None) -> list[str]:
    """The examples as a block, and what is said after them."""
    if not text:
        return []
    lines = [line for line in text.strip().splitlines() if line.strip()]
    examples = "\n".join(line[2:] for line in lines if line.startswith("  "))
    said = [line for line in lines if not line.startswith("  ") and line != "Examples:"]
    return [block(examples, "text"), *said]
