"""`shoal services | scale | undeploy`: what is deployed where, and how it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli.failures import told
from shoal.cli.naming import service_ref
from shoal.cli.reaching import AsJson, ControlUrl, HomeFolder, connected
from shoal.cli.showing import day, show_facts, show_json, show_table

if TYPE_CHECKING:
    from shoal.core.catalogue import ServiceEntry

EPILOG = """
Examples:

  shoal services                          all services in all environments
  shoal services --search fraud           those that have this in name, owner, description, tags or model
  shoal services iris+staging             one, with its revisions and how it does on each node
"""
SCALE_EPILOG = """
Examples:

  shoal scale iris 5                      five workers in production
  shoal scale iris+staging@team-a 1
"""
UNDEPLOY_EPILOG = """
Examples:

  shoal undeploy iris+staging             its models stay; so does a tombstone in the catalogue
"""

Address = Annotated[str, typer.Argument(help="NAME[+ENVIRONMENT][@NAMESPACE].")]
Env = Annotated[str | None, typer.Option("--env", "-e", help="Environment, if the name does not say it.")]


def services(
    service: Annotated[str | None, typer.Argument(help="NAME[+ENVIRONMENT][@NAMESPACE]; without it, all.")] = None,
    search: Annotated[str, typer.Option(help="Text in name, owner, description, tags or model.")] = "",
    owner: Annotated[str, typer.Option(help="Only services of this owner.")] = "",
    env: Env = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Only of this namespace.")] = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="Tombstones, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """List and search the catalogue of services with their health, or show one."""
    with told(), connected(control, home) as client:
        if service is not None:
            where = service_ref(service, env)
            entry, history = client.service(*where), client.service_history(*where)
            if as_json:
                show_json({"service": entry, "history": history})
            else:
                _show_one(entry, history)
            return
        page = client.services(
            namespace=namespace,
            environment=env or "",
            search=search,
            owner=owner,
            deleted="true" if deleted else "",
            limit=limit,
        )
    if as_json:
        show_json(page)
        return
    columns = ("service", "model", "health", "replicas", "owner", "revision", "description")
    show_table(columns, (_row(each) for each in page.services), empty="no services yet")


def scale(
    service: Address,
    replicas: Annotated[int, typer.Argument(help="Workers, or seats in a shared pool.")],
    env: Env = None,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Change how many workers a service has."""
    with told():
        where = service_ref(service, env)
        with connected(control, home) as client:
            entry = client.scale(*where, replicas)
    if as_json:
        show_json(entry)
    else:
        print(f"{entry.service.address}: {entry.service.replicas} replicas (revision {entry.revision})")


def undeploy(
    service: Address,
    env: Env = None,
    control: ControlUrl = None,
    home: HomeFolder = None,
) -> None:
    """Take a service away; nodes drain it and stop its workers."""
    with told():
        where = service_ref(service, env)
        with connected(control, home) as client:
            client.delete_service(*where)
    print(f"undeployed {service}")


def health(entry: ServiceEntry) -> str:
    """How a service does, in a few words."""
    if entry.deleted:
        return "deleted"
    if not entry.health:
        return "no node"
    states = [each.status for each in entry.health]
    ready, wanted = sum(each.ready for each in states), sum(each.wanted for each in states)
    names = "/".join(sorted({each.state for each in states}))
    return f"{names} {ready}/{wanted}"


def _row(entry: ServiceEntry) -> tuple[object, ...]:
    service = entry.service
    return (
        service.address,
        f"{service.model}:{service.ref}",
        health(entry),
        service.replicas,
        service.owner,
        entry.revision,
        service.description,
    )


def _show_one(entry: ServiceEntry, history: tuple[ServiceEntry, ...]) -> None:
    service = entry.service
    show_facts(
        (
            ("service", service.address),
            ("model", f"{service.model_namespace}/{service.model}:{service.ref}"),
            ("owner", service.owner),
            ("description", service.description),
            ("links", service.links),
            ("placement", service.placement),
            ("replicas", service.replicas),
            ("cpu", service.cpu),
            ("revision", entry.revision),
            ("updated", f"{day(entry.updated)} by {entry.actor}"),
            ("health", health(entry)),
        )
    )
    if entry.health:
        print()
        rows = (
            (each.node, each.url, each.status.state, each.status.version, each.status.ready, each.status.reason)
            for each in entry.health
        )
        show_table(("node", "url", "state", "version", "ready", "reason"), rows)
    print()
    revisions = (
        (
            each.revision,
            day(each.updated),
            each.actor,
            f"{each.service.model}:{each.service.ref}",
            each.service.replicas,
        )
        for each in history
    )
    show_table(("revision", "when", "by", "model", "replicas"), revisions)


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(services)
    app.command(epilog=SCALE_EPILOG)(scale)
    app.command(epilog=UNDEPLOY_EPILOG)(undeploy)
