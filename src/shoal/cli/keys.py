"""`shoal keys`: who may do what at control and at the data ports."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli.failures import told
from shoal.cli.reaching import AsJson, ControlUrl, HomeFolder, connected
from shoal.cli.showing import day, show_json, show_table
from shoal.core.registry import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from shoal.core.access import Grant
    from shoal.core.keyring import KeyEntry, KeyRequest, NewKey

EPILOG = """
Examples:

  shoal keys create admin --role admin --namespace '*'     the first one: from now on, everybody needs a key
  shoal keys create ci --role engineer --namespace fraud   pushes, deploys and promotes in one namespace
  shoal keys create app --role caller --model iris --expires 30d
  shoal keys create app --role caller --file keys.yaml     for a node without control
"""
LIST_EPILOG = """
Examples:

  shoal keys list
  shoal keys list --all     those that were revoked or have expired, too
"""
REVOKE_EPILOG = """
Examples:

  shoal keys revoke k4mvr2x7hq5a     by its id, the part behind `shoal_`
"""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

app = typer.Typer(name="keys", help="API keys: make, list and revoke them.", no_args_is_help=True)


@app.command(epilog=EPILOG)
def create(
    name: Annotated[str, typer.Argument(help="For people: whose key it is, or what it is for.")],
    role: Annotated[
        list[str], typer.Option(help="caller, viewer, engineer, qa, owner, admin, node, or one permission.")
    ],
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Where it may; '*' is everywhere.")
    ] = DEFAULT_NAMESPACE,
    model: Annotated[str, typer.Option(help="Only this model or service.")] = "*",
    expires: Annotated[str, typer.Option(help="How long it is valid, such as 30d or 12h (default: no end).")] = "",
    tenant: Annotated[str, typer.Option(help="Whose quota its requests count to (default: its name).")] = "",
    file: Annotated[
        Path | None, typer.Option(help="Keep it in this file, for a node that serves files, and in no control.")
    ] = None,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it: this once, and never again."""
    from shoal.core.access import Grant
    from shoal.core.keyring import KeyRequest

    with told():
        grant = Grant(tuple(role), namespace, model)
        asked = KeyRequest(name=name, grants=(grant,), tenant=tenant, seconds=seconds_of(expires))
        if file is not None:
            made = _add_to(file, asked)
        else:
            with connected(control, home) as client:
                made = client.create_key(asked)
    if as_json:
        show_json(made)
    else:
        print(made.key)


@app.command("list", epilog=LIST_EPILOG)
def list_keys(
    every: Annotated[bool, typer.Option("--all", help="Those that are valid no longer, too.")] = False,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show keys: whose they are, what they may do, when they were used last."""
    import time

    now = time.time()
    with told(), connected(control, home) as client:
        found = [each for each in client.list_keys() if every or _is_valid(each, now)]
    if as_json:
        show_json({"keys": found})
        return
    columns = ("id", "name", "may", "tenant", "created", "expires", "revoked", "used")
    show_table(columns, (_row(each) for each in found), empty="there are no keys; everybody on this machine may do all")


@app.command(epilog=REVOKE_EPILOG)
def revoke(
    key: Annotated[str, typer.Argument(help="Id of the key.")],
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Let a key in no more: at control at once, at all nodes within seconds."""
    with told(), connected(control, home) as client:
        revoked = client.revoke_key(key)
    if as_json:
        show_json(revoked)
    else:
        print(f"revoked {revoked.id} ({revoked.name})")


def _add_to(path: Path, asked: KeyRequest) -> NewKey:
    """Make a key that a file of keys holds."""
    import time

    from shoal.core import keys
    from shoal.core.access import KeyRecord, expand
    from shoal.core.errors import ConfigError
    from shoal.core.keyring import KeyEntry, NewKey
    from shoal.core.settings.keys_file import add_key

    try:
        expand(asked.grants[0].permissions)
    except ValueError as error:
        raise ConfigError(str(error), hint="see `shoal keys create --help` for the roles", field="role") from error
    made, now = keys.generate(), time.time()
    told: dict[str, Any] = {
        "id": made.id,
        "name": asked.name,
        "grants": asked.grants,
        "tenant": asked.tenant,
        "created": now,
    }
    told["expires"] = now + asked.seconds if asked.seconds else 0.0
    add_key(path, KeyRecord(sha256=keys.digest(made.text), **told))
    return NewKey(key=made.text, entry=KeyEntry(**told))


def seconds_of(text: str) -> float:
    """A span of time such as 30d; 0 for ""."""
    from shoal.core.errors import ConfigError

    if not text:
        return 0.0
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not match or not int(match[1]):
        raise ConfigError(f"{text!r} is no span of time", hint="such as 30d, 12h or 15m", field="expires")
    return float(int(match[1]) * UNITS[match[2]])


def _is_valid(entry: KeyEntry, now: float) -> bool:
    return not entry.revoked and (not entry.expires or entry.expires > now)


def _row(entry: KeyEntry) -> tuple[object, ...]:
    may = "; ".join(_words(each) for each in entry.grants)
    times = (day(entry.created), day(entry.expires), day(entry.revoked), day(entry.used))
    return (entry.id, entry.name, may, entry.tenant, *times)


def _words(grant: Grant) -> str:
    place = grant.namespace if grant.model == "*" else f"{grant.namespace}/{grant.model}"
    return f"{', '.join(grant.permissions)} on {place}"


def register(parent: typer.Typer) -> None:
    parent.add_typer(app)
