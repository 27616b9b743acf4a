"""`shoal control`: the registry, the artifact store and the services behind one API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli.reaching import HomeFolder, needing_control

EPILOG = """
Examples:

  shoal control                                  registry and artifacts in ~/.shoal, on http://127.0.0.1:8081
  shoal control --trust                          take pickles and Python models, too
  shoal control --services services/             put the service files of a folder, and follow them
  shoal control --registry postgresql://db/shoal --artifacts s3://models/shoal
"""


def control(
    home: HomeFolder = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (default: 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Control port; 0 takes a free one (default: 8081).")] = None,
    registry: Annotated[str | None, typer.Option(help="URL of the registry's database (default: in the home).")] = None,
    artifacts: Annotated[str | None, typer.Option(help="URL of the artifact store (default: in the home).")] = None,
    services: Annotated[Path | None, typer.Option(help="Folder of service files that are put and followed.")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Let versions in whose format can run code: pickles, Python models.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="Settings of control (control.yaml).")] = None,
    ready_fd: Annotated[
        int | None, typer.Option(help="Write one JSON line to this descriptor once it answers.", hidden=True)
    ] = None,
    parent: Annotated[int | None, typer.Option(help="End with the process of this id.", hidden=True)] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Run control: models, stages, services, and the API on its own port."""
    import os
    from functools import partial

    from shoal.cli.console import set_up_logging
    from shoal.cli.failures import told
    from shoal.core.settings import safety
    from shoal.core.settings.control import judged_control_settings
    from shoal.serving.worker.parent import die_with_parent

    set_up_logging(log_level)
    if parent is not None:
        die_with_parent(parent)
    with told():
        with needing_control():
            from shoal.control.main import run_control
        given = {
            "home": home,
            "host": host,
            "port": port,
            "registry": registry,
            "artifacts": artifacts,
            "services": services,
            "trust": trust or None,
        }
        settings, findings = judged_control_settings(config, os.environ, given)
        safety.enforce(findings)
        safety.warn(findings)
        code = run_control(settings, partial(_announce, ready_fd=ready_fd))
    raise typer.Exit(code)


def _announce(url: str, ready_fd: int | None) -> None:
    """Tell people, and the program that started us, that control answers."""
    import json
    import os

    if ready_fd is not None:
        os.write(ready_fd, json.dumps({"url": url}).encode() + b"\n")
        os.close(ready_fd)
    print(f"control  {url}\ndocs     {url}/docs", flush=True)


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(control)
