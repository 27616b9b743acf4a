"""`shoal doctor`: what is installed, which runtimes work, what would fail."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False) -> None:
    """Check this installation: Python, libraries, runtimes, limits of the machine."""
    import json

    from shoal.control.checks import all_checks

    checks = all_checks()
    if as_json:
        print(json.dumps([check.as_dict() for check in checks], indent=2))
    else:
        _show(checks)
    raise typer.Exit(1 if any(check.status == "fail" for check in checks) else 0)


def _show(checks: list) -> None:  # type: ignore[type-arg]
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("", "check", "found", "what to do"):
        table.add_column(column, overflow="fold")
    marks = {"ok": "[green]ok[/green]", "missing": "[yellow]--[/yellow]", "fail": "[red]FAIL[/red]"}
    for check in checks:
        table.add_row(marks[check.status], check.name, check.found, check.hint)
    Console(highlight=False).print(table)


def register(app: typer.Typer) -> None:
    app.command()(doctor)
