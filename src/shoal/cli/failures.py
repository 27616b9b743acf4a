"""Errors on the command line: one sentence, a hint, and an exit code that scripts can use.

1    the server answered with an error
2    the command was used wrongly, a file is not what it should be, or no server answers
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from shoal.core.errors import ConfigError, InvalidInput, ShoalError


def exit_code(error: ShoalError) -> int:
    """The exit code that an error means."""
    from shoal.client import Unreachable

    return 2 if isinstance(error, ConfigError | Unreachable) else 1


@contextmanager
def told() -> Iterator[None]:
    """Tell a `ShoalError` on standard error and exit with its code."""
    try:
        yield
    except ShoalError as error:
        tell(error)
        raise typer.Exit(exit_code(error)) from None


@contextmanager
def usage(what: str) -> Iterator[None]:
    """Input that is wrong before it was sent counts as wrong usage; `what` names it."""
    try:
        yield
    except InvalidInput as error:
        raise ConfigError(f"{what}: {error.message}", hint=error.hint, field=error.field) from error


def tell(error: ShoalError) -> None:
    """Write an error to standard error, coloured on a terminal."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("[bold red]error:[/]", end=" ")
    console.print(error.message, markup=False)
    for name, value in (("field", error.field), ("hint", error.hint), ("request id", error.request_id)):
        if value:
            console.print(f"  [dim]{name}:[/]", end=" ")
            console.print(value, markup=False)
