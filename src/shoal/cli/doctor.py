"""`shoal doctor`: what is installed, which runtimes work, what would fail, and what would not be safe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from shoal.cli.checks import Check

EPILOG = """
Examples:

  shoal doctor                        this installation
  shoal doctor models/ --trust        and whether these models would be served
  shoal doctor --imports              import every framework, as a worker would
"""


def doctor(
    paths: Annotated[list[Path] | None, typer.Argument(help="Models to look at, as for `shoal serve`.")] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Look at the models as `shoal serve --trust` would.")] = False,
    config: Annotated[Path | None, typer.Option(help="Settings of the node to look at (shoal.yaml).")] = None,
    imports: Annotated[bool, typer.Option("--imports", help="Import the frameworks: slow, but sure.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Check this installation: Python, libraries, runtimes, limits of the machine, safety of the settings, and models.

    The exit code is 1 if something would fail; what is merely not installed is no failure.
    """
    import json
    import os

    from shoal.cli import checks

    groups = {"machine": checks.machine_checks(), "safety": checks.safety_checks(config, os.environ)}
    groups["runtimes"] = checks.runtime_checks(imports=imports)
    if paths:
        groups["models"] = checks.model_checks(paths, trust=trust)
    if as_json:
        print(json.dumps({name: [check.as_dict() for check in group] for name, group in groups.items()}, indent=2))
    else:
        _show(groups)
    failed = any(check.status == "fail" for group in groups.values() for check in group)
    raise typer.Exit(1 if failed else 0)


def _show(groups: dict[str, list[Check]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    marks = {"ok": "[green]ok[/green]", "missing": "[yellow]--[/yellow]", "warn": "[yellow]warn[/yellow]"}
    marks["fail"] = "[red]FAIL[/red]"
    for name, group in groups.items():
        table = Table(box=None, pad_edge=False, title=name, title_justify="left", title_style="bold")
        for column in ("", "what", "found", "what to do"):
            table.add_column(column, overflow="fold")
        for check in group:
            table.add_row(marks[check.status], escape(check.name), escape(check.found), escape(check.hint))
        console.print(table)
        console.print()


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(doctor)
