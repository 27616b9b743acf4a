"""`shoal`: composes the commands and turns errors into one sentence, a hint and an exit code.

Exit codes: 0 done, 1 the work failed, 2 wrong usage, settings or files, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from shoal.cli import (
    audit,
    bench,
    build,
    control,
    deploy,
    doctor,
    init,
    keys,
    models,
    namespaces,
    predict,
    push,
    roles,
    serve,
    services,
    stages,
    upkeep,
    why,
)
from shoal.cli.reaching import KEY_FILE
from shoal.core.errors import ConfigError, ShoalError
from shoal.core.version import __version__

app = typer.Typer(
    name="shoal",
    help="Serve machine-learning models: a folder of model files becomes REST and gRPC predictions on one port.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
SERVING = (serve, roles, predict, bench, init, build, doctor, why)
CONTROLLING = (control, push, models, stages, upkeep, namespaces, deploy, services, keys, audit)
for command in SERVING + CONTROLLING:
    command.register(app)


@app.callback(invoke_without_command=True)
def version(
    show: bool = typer.Option(False, "--version", help="Print the version and exit."),
    key_file: Path | None = typer.Option(  # noqa: B008 - how Typer is told
        None, "--key-file", envvar=KEY_FILE, help="File with the API key for control (or SHOAL_API_KEY)."
    ),
) -> None:
    if key_file is not None:
        os.environ[KEY_FILE] = str(key_file)  # for whichever command follows, and what it starts
    if show:
        print(f"shoal {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point of the `shoal` command."""
    try:
        app()
    except ShoalError as error:
        print(f"shoal: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  hint: {error.hint}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
