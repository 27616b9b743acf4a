"""`shoal why`: one answer to why a model is slow, not ready, evicted, refused, or where it sits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shoal.cli.asking import Ca, Url, Version
from shoal.cli.failures import told

EPILOG = """
Examples:

  shoal why iris                      the model or service iris, on the node at http://127.0.0.1:8080
  shoal why iris+staging --json       all facts, for programs
"""


def why(
    model: Annotated[str, typer.Argument(help="Name of the model, or address of the service.")],
    url: Url = "http://127.0.0.1:8080",
    version: Version = None,
    ca: Ca = None,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Say why a model is slow, not ready, not in memory or refused, which version answers, and where it sits."""
    import json

    with told():
        facts = _ask(url, model, version, ca)
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        _show(facts)


def _ask(url: str, model: str, version: str | None, ca: Path | None) -> dict[str, object]:
    from shoal.cli.reaching import api_key
    from shoal.client import Tls
    from shoal.client.control_link import ControlLink

    tls = None if ca is None else Tls(ca=ca)
    link = ControlLink(url, key=api_key(), tls=tls)
    path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/why"
    try:
        return link.call("GET", path, dict[str, object])
    finally:
        link.close()


def _show(facts: dict[str, object]) -> None:
    import time

    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    console.soft_wrap = not console.is_terminal
    version = f" {facts['version']}" if facts.get("version") else ""
    console.print(f"[bold]{escape(str(facts['name']))}{escape(version)}[/bold]  {facts['state']}")
    reasons = facts.get("why")
    for sentence in reasons if isinstance(reasons, list) else []:
        console.print(f"  {escape(str(sentence))}")
    events = facts.get("events")
    for event in events if isinstance(events, list) else []:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["at"]))
        console.print(escape(f"  {at}  {event['what']:<12} {event['detail']}"), style="dim")


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(why)
