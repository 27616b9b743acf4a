"""`shoal delete | gc`: what goes, first from sight and later from the disk."""

from __future__ import annotations

from typing import Annotated

import typer

from shoal.cli.failures import told
from shoal.cli.naming import model_ref
from shoal.cli.reaching import AsJson, ControlUrl, HomeFolder, NamespaceOption, connected
from shoal.cli.showing import amount, show_json
from shoal.core.registry import DEFAULT_NAMESPACE

EPILOG = """
Examples:

  shoal delete iris:3         version 3; its number is never used again
  shoal delete iris --all     the model and all its versions
"""
GC_EPILOG = """
Examples:

  shoal gc --dry-run                        what no version uses any more
  shoal gc --keep-days 0 --grace-hours 0    all that can go, at once
"""


def delete(
    model: Annotated[str, typer.Argument(help="[NAMESPACE/]NAME:NUMBER, or a name with --all.")],
    all_versions: Annotated[bool, typer.Option("--all", help="The model with all its versions.")] = False,
    namespace: NamespaceOption = DEFAULT_NAMESPACE,
    control: ControlUrl = None,
    home: HomeFolder = None,
) -> None:
    """Delete a version or a model; refused while a stage points at it. `shoal gc` frees the space later."""
    from shoal.core.errors import ConfigError

    with told():
        wanted = model_ref(model, namespace, ref="")
        if all_versions is bool(wanted.ref):
            raise ConfigError("say which version, or --all", hint=f"such as: shoal delete {wanted.model}:3")
        with connected(control, home) as client:
            if all_versions:
                client.delete_model(wanted.namespace, wanted.model)
            else:
                number = client.version(*wanted).version
                client.delete_version(wanted.namespace, wanted.model, number)
        print(f"deleted {model}")


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    keep_days: Annotated[
        float | None, typer.Option(min=0, help="Forget versions that were deleted before so many days.")
    ] = None,
    grace_hours: Annotated[float | None, typer.Option(min=0, help="Leave unused files younger than this.")] = None,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Forget versions that were deleted long ago; remove files that no version uses, and unused worker environments."""
    import msgspec

    from shoal.cli.tidying import remove_environments
    from shoal.core.catalogue import CollectRequest

    asked = CollectRequest(
        dry_run=dry_run,
        keep_deleted_seconds=None if keep_days is None else keep_days * 86_400,
        grace_seconds=None if grace_hours is None else grace_hours * 3600,
    )
    with told(), connected(control, home) as client:
        found = client.collect(asked)
        environments = () if dry_run else remove_environments(client, home)
    if as_json:
        show_json({**msgspec.structs.asdict(found), "environments": [each.digest for each in environments]})
        return
    done = "would remove" if dry_run else "removed"
    print(f"{done} {found.blobs} files, {amount(found.bytes)}; forgot {found.versions} deleted versions")
    if environments:
        print(f"removed {len(environments)} environments, {amount(sum(each.bytes for each in environments))}")


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(delete)
    app.command(epilog=GC_EPILOG)(gc)
