"""Routes of stages: where a label of a model points, and where it has pointed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from shoal.control.api.asking import Actor, Key, Limit, ModelName, NamespaceName, Stage, TheControl
from shoal.control.api.bodies import body
from shoal.control.api.describing import answer, described
from shoal.core.catalogue import RollbackRequest, StageHistory, StageRequest
from shoal.core.registry import StageMove

router = APIRouter(tags=["stages"])

STAGES = "/v1/models/{namespace}/{name}/stages"
STAGE = f"{STAGES}/{{stage}}"

Expected = Annotated[int | None, Query(ge=1, description="The version at which the stage must be for this to happen.")]


@router.put(STAGE, **described(StageMove, takes=StageRequest, example={"ref": "2", "comment": "better recall"}))
def move(
    control: TheControl,
    actor: Actor,
    namespace: NamespaceName,
    name: ModelName,
    stage: Stage,
    asked: Annotated[StageRequest, Depends(body(StageRequest))],
) -> Response:
    """Point a stage at a version; if the namespace's policy wants signatures there, the version's is verified."""
    return answer(
        control.move_stage(
            namespace,
            name,
            stage,
            asked.ref,
            actor=actor,
            comment=asked.comment,
            expected=asked.expected,
            allow_older=asked.allow_older,
        )
    )


@router.delete(STAGE, **described(StageMove))
def remove(
    control: TheControl,
    actor: Actor,
    namespace: NamespaceName,
    name: ModelName,
    stage: Stage,
    expected: Expected = None,
) -> Response:
    """Remove a stage from a model; its history stays."""
    return answer(control.move_stage(namespace, name, stage, None, actor=actor, expected=expected))


@router.post(f"{STAGE}/rollback", **described(StageMove, takes=RollbackRequest, example={"expected": 2}))
def rollback(
    control: TheControl,
    actor: Actor,
    key: Key,
    namespace: NamespaceName,
    name: ModelName,
    stage: Stage,
    asked: Annotated[RollbackRequest, Depends(body(RollbackRequest))],
) -> Response:
    """Point a stage at the version before its last move; again, at the one before that."""
    return answer(control.rollback(namespace, name, stage, actor=actor, expected=asked.expected, key=key))


@router.get(f"{STAGE}/history", **described(StageHistory))
def history(
    control: TheControl, namespace: NamespaceName, name: ModelName, stage: Stage, limit: Limit = 100
) -> Response:
    """All moves of a stage, newest first."""
    return answer(StageHistory(tuple(control.registry.stage_history(namespace, name, stage, limit=limit))))


@router.get(f"{STAGES}/history", name="histories", **described(StageHistory))
def histories(control: TheControl, namespace: NamespaceName, name: ModelName, limit: Limit = 100) -> Response:
    """The moves of all stages of a model, newest first."""
    return answer(StageHistory(tuple(control.registry.stage_history(namespace, name, limit=limit))))
