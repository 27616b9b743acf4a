"""Routes of upkeep: health, the record of what was done, and the collection of what nobody uses any more."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from shoal.control.api.asking import Actor, Limit, TheControl, TheDesk, Who
from shoal.control.api.bodies import body
from shoal.control.api.describing import answer, described
from shoal.control.audit.chain import Head
from shoal.core.access import ANY, Permission
from shoal.core.catalogue import Collected, CollectRequest, EventList, Health
from shoal.core.keyring import Verdict
from shoal.core.version import __version__

router = APIRouter(tags=["upkeep"])


@router.get("/health/live", **described(Health))
async def live() -> Response:
    """Whether the process answers."""
    return answer(Health(state="live"))


@router.get("/health/ready", **described(Health))
def ready(control: TheControl, desk: TheDesk) -> Response:
    """Whether the registry can be read; 503 if not. Where keys are asked for, it says no more than that."""
    position, models = control.registry.position(), control.registry.count_models()
    if desk.is_on:
        return answer(Health(state="ready"))
    return answer(Health(state="ready", version=__version__, position=position, models=models))


@router.get("/v1/events", **described(EventList))
def events(
    control: TheControl,
    who: Who,
    subject: Annotated[str, Query(max_length=400, description="Only what was done to this.")] = "",
    limit: Limit = 100,
    before: Annotated[int, Query(ge=0, description="`next` of the page before; 0 begins.")] = 0,
) -> Response:
    """What was done or denied, by whom and when, newest first: in the namespaces that one manages."""
    reach = None if who.allows(Permission.ADMIN, ANY) else who.reach(Permission.MANAGE)
    found = control.events(limit=limit, before=before, subject=subject, reach=reach)
    return answer(EventList(found, found[-1].number if len(found) == limit else 0))


@router.get("/v1/audit", **described(Verdict))
def audit(
    control: TheControl,
    number: Annotated[int, Query(ge=0, description="Number of a record that was remembered; 0: none was.")] = 0,
    sha256: Annotated[str, Query(alias="hash", max_length=64, description="Its hash.")] = "",
) -> Response:
    """Whether the record of what was done is the one that was written, from its first entry to its last."""
    return answer(control.registry.verify_audit(Head(number, sha256) if number else None))


@router.post("/v1/gc", **described(Collected, takes=CollectRequest, example={"dry_run": True}))
def collect(
    control: TheControl, actor: Actor, asked: Annotated[CollectRequest, Depends(body(CollectRequest))]
) -> Response:
    """Forget versions that were deleted long ago, and remove the blobs that no version uses."""
    return answer(control.collect(asked, actor=actor))
