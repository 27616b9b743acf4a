"""`shoal namespaces`: rooms of teams or tenants, and what each asks of its versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli.failures import told
from shoal.cli.reaching import AsJson, ControlUrl, HomeFolder, connected
from shoal.cli.showing import show_json, show_table

if TYPE_CHECKING:
    from shoal.core.registry import Namespace, Policy

EPILOG = """
Examples:

  shoal namespaces                              all of them, with their policies
  shoal namespaces team-a --owner ann           make one
  shoal namespaces team-a --require dataset --no-code --signed production --key team-a.pem
"""


def namespaces(
    name: Annotated[str | None, typer.Argument(help="To be made, or changed.")] = None,
    owner: Annotated[str | None, typer.Option(help="Whose it is.")] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    require: Annotated[
        list[str] | None, typer.Option(help="Lineage without which nothing is registered; may be given many times.")
    ] = None,
    no_code: Annotated[bool, typer.Option("--no-code", help="Refuse formats that can run code.")] = False,
    signed: Annotated[
        list[str] | None, typer.Option(help="A stage that takes signed versions only; may be given many times.")
    ] = None,
    key: Annotated[
        list[Path] | None, typer.Option(help="Public key (PEM) whose signatures count; may be given many times.")
    ] = None,
    served: Annotated[str | None, typer.Option(help="Stage that models without a service are served by.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Let other namespaces share cached predictions.")] = False,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show namespaces; make one, or set its policy.

    A policy is set as a whole: what is not said is as for a new namespace.
    """
    from shoal.core.catalogue import NamespaceChange

    said = any((require, no_code, signed, key, served is not None, public))
    with told():
        policy = _policy(require, signed, key, served, no_code=no_code, public=public) if said else None
        with connected(control, home) as client:
            if name is not None:
                change = NamespaceChange(owner=owner, description=description, policy=policy)
                found: tuple[Namespace, ...] = (client.put_namespace(name, change),)
            else:
                found = client.namespaces()
    if as_json:
        show_json({"namespaces": found})
        return
    columns = ("namespace", "owner", "requires", "code", "signed stages", "served stage", "description")
    show_table(columns, (_namespace_row(each) for each in found))


def _policy(
    require: list[str] | None,
    signed: list[str] | None,
    keys: list[Path] | None,
    served: str | None,
    *,
    no_code: bool,
    public: bool,
) -> Policy:
    from shoal.core.errors import ConfigError
    from shoal.core.registry import PRODUCTION, Policy

    try:
        texts = tuple(path.read_text() for path in keys or ())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"a key cannot be read: {error}", hint="name PEM files with --key") from error
    return Policy(
        required_lineage=tuple(require or ()),
        allow_code=not no_code,
        signed_stages=tuple(signed or ()),
        trusted_keys=texts,
        served_stage=PRODUCTION if served is None else served,
        public=public,
    )


def _namespace_row(each: Namespace) -> tuple[object, ...]:
    policy = each.policy
    code = "allowed" if policy.allow_code else "refused"
    return (
        each.name,
        each.owner,
        policy.required_lineage,
        code,
        policy.signed_stages,
        policy.served_stage,
        each.description,
    )


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(namespaces)
