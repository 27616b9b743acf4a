"""`shoal models`: what is in the registry, in list or in detail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli.failures import told
from shoal.cli.naming import model_ref
from shoal.cli.reaching import AsJson, ControlUrl, HomeFolder, connected
from shoal.cli.showing import amount, day, show_facts, show_json, show_table
from shoal.core.registry import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from shoal.core.registry import StageMove, Version

EPILOG = """
Examples:

  shoal models                        all models and their stages
  shoal models --search churn         those that have this in name, description, owner or tags
  shoal models iris                   versions, stages and history of one
  shoal models iris:production        one version, with its lineage
"""


def models(
    name: Annotated[str | None, typer.Argument(help="[NAMESPACE/]NAME[:REF]; without it, all models.")] = None,
    search: Annotated[str, typer.Option(help="Text in name, description, owner or tags.")] = "",
    stage: Annotated[str, typer.Option(help="Only models that have this stage.")] = "",
    owner: Annotated[str, typer.Option(help="Only models of this owner.")] = "",
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="Only of this namespace.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 100,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """List and search models; show one with its versions and stages, or one version."""
    with told(), connected(control, home) as client:
        if name is None:
            page = client.models(namespace=namespace or "", search=search, stage=stage, owner=owner, limit=limit)
            if as_json:
                show_json(page)
            else:
                rows = (
                    (each.namespace, each.name, each.latest or "", each.stages, each.owner, each.description)
                    for each in page.models
                )
                show_table(
                    ("namespace", "model", "latest", "stages", "owner", "description"), rows, empty="no models yet"
                )
            return
        wanted = model_ref(name, namespace or DEFAULT_NAMESPACE, ref="")
        if wanted.ref:
            version = client.version(*wanted)
            show_json(version) if as_json else _show_version(version)
            return
        model = client.model(wanted.namespace, wanted.model)
        versions = client.versions(wanted.namespace, wanted.model, limit=limit).versions
        moves = client.stage_history(wanted.namespace, wanted.model, limit=limit)
        if as_json:
            show_json({"model": model, "versions": versions, "history": moves})
            return
        facts = (("model", f"{model.namespace}/{model.name}"), ("owner", model.owner), ("tags", model.tags))
        show_facts((*facts, ("description", model.description)))
        _show_versions(versions)
        _show_moves(moves)


def _show_version(version: Version) -> None:
    lineage = version.lineage
    show_facts(
        (
            ("version", f"{version.namespace}/{version.model}:{version.version}"),
            ("alias", version.alias),
            ("stages", version.stages),
            ("runtime", f"{version.runtime}{' (can run code)' if version.trust else ''}"),
            ("size", amount(version.size)),
            ("digest", version.digest),
            ("signed", "yes" if version.signature else "no"),
            ("created", f"{day(version.created)} by {version.creator}"),
            ("description", version.description),
            ("tags", version.tags),
            ("dataset", lineage.dataset),
            ("dataset hash", lineage.dataset_hash),
            ("method", lineage.method),
            ("parameters", lineage.hyperparameters),
            ("metrics", lineage.metrics),
            ("code", lineage.code),
        )
    )


def _show_versions(versions: tuple[Version, ...]) -> None:
    columns = ("version", "alias", "stages", "runtime", "size", "created", "by", "description")
    rows = (
        (
            each.version,
            each.alias,
            each.stages,
            each.runtime,
            amount(each.size),
            day(each.created),
            each.creator,
            each.description,
        )
        for each in versions
    )
    show_table(columns, rows, empty="no versions")


def _show_moves(moves: tuple[StageMove, ...]) -> None:
    rows = (
        (day(each.at), each.stage, each.previous or "-", each.version or "-", each.actor, each.comment)
        for each in moves
    )
    if moves:
        print()
        show_table(("when", "stage", "from", "to", "by", "comment"), rows)


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(models)
