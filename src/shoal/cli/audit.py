"""`shoal audit`: who did what, and whether the record of it is still the one that was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli.failures import told
from shoal.cli.reaching import AsJson, ControlUrl, HomeFolder, connected
from shoal.cli.showing import plain, show_json, show_table

if TYPE_CHECKING:
    from shoal.core.catalogue import Event

EPILOG = """
Examples:

  shoal audit list                 the newest records: changes, and attempts that were denied
  shoal audit list --about iris    of one model
  shoal audit list --limit 1000 --json
"""
VERIFY_EPILOG = """
Examples:

  shoal audit verify                           exits with 1 if a record was changed, removed, swapped or added
  shoal audit verify --head 1204:9f2c...       and if the newest were cut off since this was printed
"""

app = typer.Typer(name="audit", help="The audit log: list and verify it.", no_args_is_help=True)


@app.command("list", epilog=EPILOG)
def list_records(
    about: Annotated[str, typer.Option(help="Only what was done to this model, service address or key.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    before: Annotated[int, typer.Option(min=0, help="Only records with a lower number than this.")] = 0,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show records, newest first."""
    with told(), connected(control, home) as client:
        found = client.events(subject=about, limit=limit, before=before)
    if as_json:
        show_json(found)
        return
    columns = ("number", "time", "actor", "action", "namespace", "subject", "outcome", "detail", "request")
    show_table(columns, (_row(each) for each in found.events), empty="nothing was done yet")


@app.command(epilog=VERIFY_EPILOG)
def verify(
    head: Annotated[str, typer.Option(help="NUMBER:HASH that an earlier verification has printed.")] = "",
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Compare every record with the chain of hashes; print the head, which is worth keeping elsewhere."""
    from shoal.core.errors import ConfigError

    with told():
        number, _, sha256 = head.partition(":")
        if head and not (number.isdecimal() and int(number) and sha256):
            raise ConfigError(f"{head[:100]!r} is no head", hint="write NUMBER:HASH, as it was printed", field="head")
        with connected(control, home) as client:
            verdict = client.verify_audit(int(number or 0), sha256)
    if as_json:
        show_json(verdict)
    elif verdict.broken:
        print(f"BROKEN at {plain(verdict.reason)}")
    else:
        print(f"{verdict.records} records are as they were written\nhead  {verdict.number}:{verdict.hash}")
    if verdict.broken:
        raise typer.Exit(1)


def _row(each: Event) -> tuple[object, ...]:
    import time

    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each.at))
    outcome = "" if each.outcome == "done" else each.outcome
    told = (each.namespace, each.subject, outcome, each.detail, each.request)
    return (each.number, when, each.actor, each.action, *told)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app)
