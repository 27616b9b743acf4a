"""`shoal build`: a project becomes a bundle that is the same each time, and a Dockerfile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EPILOG = """
Examples:

  shoal build churn                       churn/dist/churn-<digest>.tar and churn/dist/Dockerfile, without the weights
  shoal build churn --with-model          the same with the weights in it
  shoal build churn --out build --json    elsewhere; what was built as JSON
"""


def build(
    project: Annotated[Path, typer.Argument(help="The project's folder, with a requirements.lock.")],
    out: Annotated[Path | None, typer.Option(help="Where to write (default: PROJECT/dist).")] = None,
    with_model: Annotated[bool, typer.Option("--with-model", help="Put the model's weights into the bundle.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was built as JSON.")] = False,
) -> None:
    """Build a project into a bundle, the same each time, and a Dockerfile that makes an image of it."""
    import sys

    import msgspec

    from shoal.control.environments import building
    from shoal.control.environments.projects import RESULTS

    def told(line: str) -> None:
        print(f"  {line}", file=sys.stderr, flush=True)

    done = building.build(project, out or project / RESULTS, with_model=with_model, progress=told)
    if as_json:
        print(msgspec.json.encode(done).decode())
        return
    print(f"bundle      {done.bundle}  ({done.bytes / 1e6:.1f} MB, {len(done.wheels)} packages)")
    print(f"digest      {done.digest}")
    print(f"dockerfile  {done.dockerfile}")
    print(f"\nnext:  docker build --build-arg BASE_IMAGE=... -t {done.name} {Path(done.dockerfile).parent}")


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(build)
