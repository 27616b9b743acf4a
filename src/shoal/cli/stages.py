"""`shoal stage | rollback`: where a stage of a model points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli.failures import told
from shoal.cli.naming import model_ref
from shoal.cli.reaching import AsJson, ControlUrl, HomeFolder, NamespaceOption, connected
from shoal.cli.showing import show_json
from shoal.core.registry import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from shoal.core.registry import StageMove

EPILOG = """
Examples:

  shoal stage iris production 3                 version 3 is in production
  shoal stage iris production staging           whatever is in staging
  shoal stage iris staging --remove
"""
ROLLBACK_EPILOG = """
Examples:

  shoal rollback iris production        back to the version before
  shoal rollback team-a/iris production --json
"""


def stage(
    model: Annotated[str, typer.Argument(help="[NAMESPACE/]NAME.")],
    stage: Annotated[str, typer.Argument(help="Such as staging or production.")],
    ref: Annotated[str | None, typer.Argument(help="A version's number or alias, another stage, or latest.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the stage.")] = False,
    comment: Annotated[str, typer.Option(help="Why; kept in the history.")] = "",
    expected: Annotated[int | None, typer.Option(min=0, help="Only if the stage is at this version now.")] = None,
    allow_older: Annotated[
        bool, typer.Option("--allow-older", help="Let a stage that asks for signatures go back.")
    ] = False,
    namespace: NamespaceOption = DEFAULT_NAMESPACE,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Point a stage at a version; services that follow the stage switch by themselves."""
    from shoal.core.errors import ConfigError

    with told():
        place, name, _ = model_ref(model, namespace)
        if (ref is None) is not remove:
            raise ConfigError("say to which version, or --remove", hint=f"such as: shoal stage {name} {stage} 3")
        with connected(control, home) as client:
            if ref is None:
                move = client.remove_stage(place, name, stage, expected=expected)
            else:
                more = {"comment": comment, "expected": expected, "allow_older": allow_older}
                move = client.move_stage(place, name, stage, ref, **more)
        _show_move(move, as_json=as_json)


def rollback(
    model: Annotated[str, typer.Argument(help="[NAMESPACE/]NAME.")],
    stage: Annotated[str, typer.Argument(help="Such as production.")],
    namespace: NamespaceOption = DEFAULT_NAMESPACE,
    control: ControlUrl = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Point a stage at the version before its last move; again, at the one before that."""
    with told():
        place, name, _ = model_ref(model, namespace)
        with connected(control, home) as client:
            now = client.model(place, name).stages.get(stage)
            move = client.rollback(place, name, stage, expected=now)
        _show_move(move, as_json=as_json)


def _show_move(move: StageMove, *, as_json: bool) -> None:
    if as_json:
        show_json(move)
    elif move.version:
        before = f" (it was {move.previous})" if move.previous not in (0, move.version) else ""
        print(f"{move.model}: {move.stage} is version {move.version}{before}")
    else:
        print(f"{move.model}: {move.stage} is removed (it was {move.previous})")


def register(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(stage)
    app.command(epilog=ROLLBACK_EPILOG)(rollback)
