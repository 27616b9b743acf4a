"""`shoal namespaces`: rooms of teams or tenants, what each asks of its versions, what each holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli.failures import told
from shoal.cli.reaching import AsJson, ControlUrl, HomeFolder, connected
from shoal.cli.showing import amount, show_json, show_table

if TYPE_CHECKING:
    from shoal.core.quotas import Usage
    from shoal.core.registry import Namespace, Policy

EPILOG = """
Examples:

  shoal namespaces                              all of them, with their policies
  shoal namespaces team-a --owner ann           make one
  shoal namespaces --usage                      what each holds, and may hold
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
    no_network: Annotated[
        bool, typer.Option("--no-network", help="Let no worker use the network, whatever models and services say.")
    ] = False,
    signed: Annotated[
        list[str] | None, typer.Option(help="A stage that takes signed versions only; may be given many times.")
    ] = None,
    key: Annotated[
        list[Path] | None, typer.Option(help="Public key (PEM) whose signatures count; may be given many times.")
    ] = None,
    served: Annotated[str | None, typer.Option(help="Stage that models without a service are served by.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Let other namespaces share cached predictions.")] = False,
    usage: Annotated[bool, typer.Option("--usage", help="Show what each holds, and may hold; change nothing.")] = False,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show namespaces; make one, or set its policy.

    A policy is set as a whole: what is not said is as for a new namespace.
    """
    from shoal.core.catalogue import NamespaceChange

    said = any((require, no_code, no_network, signed, key, served is not None, public))
    with told():
        if usage:
            _show_usage(name, control, home, as_json=as_json)
            return
        allowed = {"allow_code": not no_code, "allow_network": not no_network, "public": public}
        policy = _policy(require, signed, key, served, **allowed) if said else None
        with connected(control, home) as client:
            if name is not None:
                change = NamespaceChange(owner=owner, description=description, policy=policy)
                found: tuple[Namespace, ...] = (client.put_namespace(name, change),)
            else:
                found = client.namespaces()
    if as_json:
        show_json({"namespaces": found})
        return
    columns = ("namespace", "owner", "requires", "code", "network", "signed stages", "served stage", "description")
    show_table(columns, (_namespace_row(each) for each in found))


def _show_usage(name: str | None, control: str | None, home: Path | None, *, as_json: bool) -> None:
    with connected(control, home) as client:
        names = [name] if name is not None else [each.name for each in client.namespaces()]
        found = [client.usage(each) for each in names]
    if as_json:
        show_json({"usage": found})
        return
    show_table(("namespace", "models", "versions", "services", "bytes"), (_usage_row(each) for each in found))


def _usage_row(each: Usage) -> tuple[object, ...]:
    used, limits = each.used, each.limits
    counts = ((used.models, limits.models), (used.versions, limits.versions), (used.services, limits.services))
    told = [f"{now}" if most is None else f"{now} of {most}" for now, most in counts]
    size = amount(used.bytes) + ("" if limits.bytes is None else f" of {amount(limits.bytes)}")
    return (each.namespace, *told, size)


def _policy(
    require: list[str] | None,
    signed: list[str] | None,
    keys: list[Path] | None,
    served: str | None,
    **allowed: bool,
) -> Policy:
    from shoal.core.errors import ConfigError
    from shoal.core.registry import PRODUCTION, Policy

    try:
        texts = tuple(path.read_text() for path in keys or ())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"a key cannot be read: {error}", hint="name PEM files with --key") from error
    return Policy(
        required_lineage=tuple(require or ()),
        signed_stages=tuple(signed or ()),
        trusted_keys=texts,
        served_stage=PRODUCTION if served is None else served,
        **allowed,
    )


def _namespace_row(each: Namespace) -> tuple[object, ...]:
    policy = each.policy
    code, network = ("allowed" if each else "refused" for each in (policy.allow_code, policy.allow_network))
    return (
        each.name,
        each.owner,
        policy.required_lineage,
        code,
        network,
        policy.signed_stages,
        policy.served_stage,
        each.description,
    )


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(namespaces)
