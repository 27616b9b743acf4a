"""`shoal push | pull`: files of models to the registry, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli.failures import told
from shoal.cli.naming import model_ref, numbers, pairs, scalars
from shoal.cli.reaching import AsJson, ControlUrl, HomeFolder, NamespaceOption, connected
from shoal.cli.showing import amount, show_json
from shoal.core.errors import ConfigError
from shoal.core.registry import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from shoal.core.registry import Lineage, Manifest

PUSH_EPILOG = """
Examples:

  shoal push net.onnx --name churn --stage staging     one file
  shoal push model-folder/ --alias 0.1.0               a folder; named by it
  shoal push model.tar.gz --metric auc=0.91 --dataset s3://data/churn.parquet
  shoal push --from mlflow://churn@champion            from an MLflow registry (MLFLOW_TRACKING_URI)
  shoal push --from s3://bucket/models/churn           from an object store
"""
PULL_EPILOG = """
Examples:

  shoal pull iris                      the latest version, into ./iris
  shoal pull iris:production models/iris
"""


def push(
    path: Annotated[Path | None, typer.Argument(help="A model file, a folder, or a tar or zip archive.")] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="mlflow://MODEL/VERSION, mlflow://MODEL@ALIAS or s3://BUCKET/PREFIX.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model, if not the file's.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="The number that it must get.")] = None,
    alias: Annotated[str, typer.Option(help="A second name of the version, such as 0.1.0.")] = "",
    stage: Annotated[list[str] | None, typer.Option(help="Point this stage at it; may be given many times.")] = None,
    description: Annotated[str, typer.Option(help="What is new about it.")] = "",
    owner: Annotated[str, typer.Option(help="Whose the model is, if it is new.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="key=value; may be given many times.")] = None,
    dataset: Annotated[str, typer.Option(help="What it was trained on.")] = "",
    dataset_hash: Annotated[str, typer.Option(help="Digest of that data.")] = "",
    method: Annotated[str, typer.Option(help="How it was trained.")] = "",
    param: Annotated[list[str] | None, typer.Option(help="name=value of training; many times.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="name=number of evaluation; many times.")] = None,
    code_ref: Annotated[str, typer.Option(help="Reference to the code, such as a commit.")] = "",
    sign: Annotated[Path | None, typer.Option(help="Sign the files with this private key (PEM).")] = None,
    files: Annotated[bool, typer.Option("--files", help="These are files that services fetch, and no model.")] = False,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Take formats that can run code, where no other control decides. Only your own!"),
    ] = False,
    namespace: NamespaceOption = DEFAULT_NAMESPACE,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Register a new version of a model; only files that are not there yet are sent."""
    import sys

    import msgspec

    from shoal.cli.packing import packed, send
    from shoal.core.registry import Lineage, NewVersion

    said = Lineage(
        dataset=dataset,
        dataset_hash=dataset_hash,
        method=method,
        hyperparameters=scalars(param, "--param"),
        metrics=numbers(metric, "--metric"),
        code=code_ref,
    )
    with told():
        if (path is None) is (source is None):
            raise ConfigError("say what to push", hint="name a file or folder, or an address with --from")
        tags = pairs(tag, "--tag")
        with packed(path, source, model=not files) as package:
            for note in package.notes:
                print(f"note: {note}", file=sys.stderr)
            place, model, _ = model_ref(name or package.name, namespace)
            new = NewVersion(
                namespace=place,
                model=model,
                version=version,
                manifest=package.manifest,
                runtime="files" if files else "",
                alias=alias,
                description=description or package.description,
                owner=owner,
                tags={**package.tags, **tags},
                lineage=_over(package.lineage, said),
                signature=_signature(package.manifest, sign, model),
            )
            with connected(control, home, trust=trust) as client:
                sent = send(client, package, place, model)
                made = client.register(new)
                for each in stage or ():
                    client.move_stage(place, model, each, str(made.version))
        made = msgspec.structs.replace(
            made, stages=(*made.stages, *(each for each in stage or () if each not in made.stages))
        )
    if as_json:
        show_json(made)
        return
    runtime = f", {made.runtime}" if made.runtime else ""
    print(f"{made.model}:{made.version}{runtime}, {amount(made.size)} ({amount(sent)} sent)")
    for each in made.stages:
        print(f"  {each} is version {made.version}")


def pull(
    model: Annotated[str, typer.Argument(help="[NAMESPACE/]NAME[:REF].")],
    dest: Annotated[Path | None, typer.Argument(help="A folder that is not there yet (default: the name).")] = None,
    namespace: NamespaceOption = DEFAULT_NAMESPACE,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the files of a version, compared with their digests."""
    from shoal.cli.packing import receive

    with told():
        wanted = model_ref(model, namespace)
        target = dest or Path(wanted.model)
        with connected(control, home) as client:
            version = client.version(*wanted)
            receive(client, client.manifest(version.digest), target.absolute(), wanted.model)
    if as_json:
        show_json({"version": version, "path": str(target)})
    else:
        print(f"{version.model}:{version.version} is in {target}, {amount(version.size)}")


def _over(below: Lineage, above: Lineage) -> Lineage:
    """What the command line says, over what the source says."""
    import msgspec

    said = {name: value for name, value in msgspec.structs.asdict(above).items() if value}
    for name in ("hyperparameters", "metrics"):
        said[name] = {**getattr(below, name), **getattr(above, name)}
    return msgspec.structs.replace(below, **said)


def _signature(manifest: Manifest, key: Path | None, name: str) -> str:
    if key is None:
        return ""
    from shoal.control.signing import sign

    return sign(manifest, key, name=name)


def register(app: typer.Typer) -> None:
    app.command(epilog=PUSH_EPILOG)(push)
    app.command(epilog=PULL_EPILOG)(pull)
