"""Routes of models, their versions and stages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from shoal.control.api.asking import (
    Actor,
    Deleted,
    Key,
    Limit,
    ModelName,
    NamespaceName,
    Number,
    OneNamespace,
    Owner,
    Ref,
    Search,
    Seen,
    TheControl,
    Who,
)
from shoal.control.api.bodies import MANY_BYTES, body
from shoal.control.api.describing import answer, described
from shoal.control.security.desk import require
from shoal.core.access import Permission
from shoal.core.catalogue import Description, ManyVersions, ModelList, VersionList
from shoal.core.errors import InvalidInput
from shoal.core.registry import Model, NewVersion, Version

router = APIRouter(tags=["models"])

MODEL = "/v1/models/{namespace}/{name}"
CONTENT = {
    "path": "model.txt",
    "size": 5,
    "sha256": "f27e01fe7624cca3e69811a0bf9a4efd9dca9fd39f7a3a8f939cae0cfe8cdfb8",
}
NEW = {"model": "iris", "manifest": {"files": [CONTENT]}, "lineage": {"dataset": "s3://data/iris.parquet"}}


@router.get("/v1/models", **described(ModelList))
def models(
    control: TheControl,
    seen: Seen,
    namespace: OneNamespace = "",
    search: Search = "",
    stage: Annotated[str, Query(description="Only models that have this stage.")] = "",
    owner: Owner = "",
    limit: Limit = 100,
    after: Annotated[str, Query(description="`next` of the page before.")] = "",
) -> Response:
    """Models by name, page by page."""
    place, _, name = after.partition("/")
    found = control.registry.models(
        namespace or None, search=search, stage=stage, owner=owner, reach=seen, limit=limit, after=(place, name)
    )
    more = f"{found[-1].namespace}/{found[-1].name}" if len(found) == limit else ""
    return answer(ModelList(tuple(found), more))


@router.get(MODEL, **described(Model))
def model(control: TheControl, namespace: NamespaceName, name: ModelName) -> Response:
    """One model with its stages."""
    return answer(control.registry.model(namespace, name))


@router.patch(MODEL, **described(Model, takes=Description, example={"owner": "team-a", "tags": {"task": "demo"}}))
def describe(
    control: TheControl,
    actor: Actor,
    namespace: NamespaceName,
    name: ModelName,
    said: Annotated[Description, Depends(body(Description))],
) -> Response:
    """Change a model's description, owner or tags; what is not said stays."""
    control.registry.describe(
        namespace, name, description=said.description, owner=said.owner, tags=said.tags, actor=actor
    )
    return answer(control.registry.model(namespace, name))


@router.delete(MODEL, **described(None, status=204))
def delete_model(control: TheControl, actor: Actor, namespace: NamespaceName, name: ModelName) -> Response:
    """Delete a model and its versions; refused while a stage points at one. A tombstone stays."""
    control.registry.delete_model(namespace, name, actor=actor)
    return Response(status_code=204)


@router.get(f"{MODEL}/versions", **described(VersionList))
def versions(
    control: TheControl,
    namespace: NamespaceName,
    name: ModelName,
    deleted: Deleted = False,
    limit: Limit = 100,
    before: Annotated[int, Query(ge=0, description="`next` of the page before; 0 begins.")] = 0,
) -> Response:
    """Versions of a model, newest first, page by page."""
    found = control.registry.versions(namespace, name, deleted=deleted, limit=limit, before=before or None)
    return answer(VersionList(tuple(found), found[-1].version if len(found) == limit else 0))


@router.get(f"{MODEL}/versions/{{ref}}", **described(Version))
def version(control: TheControl, namespace: NamespaceName, name: ModelName, ref: Ref) -> Response:
    """One version with its digest, lineage and the stages that point at it."""
    return answer(control.registry.version(namespace, name, ref))


@router.post(
    f"{MODEL}/versions",
    **described(
        Version, takes=NewVersion, example=NEW, status=201, also={200: "It was there already, with the same content"}
    ),
)
def register(
    control: TheControl,
    actor: Actor,
    key: Key,
    namespace: NamespaceName,
    name: ModelName,
    new: Annotated[NewVersion, Depends(body(NewVersion))],
) -> Response:
    """Register a version by its manifest; its blobs must be there (`PUT /v1/blobs/...`)."""
    if (new.namespace, new.model) != (namespace, name):
        told = f"the path names {namespace}/{name}, the body {new.namespace}/{new.model}"
        raise InvalidInput(told, hint="say the same in both", field="model")
    made, created = control.register(new, actor=actor, key=key)
    return answer(made, 201 if created else 200)


@router.post(
    "/v1/register-many", **described(VersionList, takes=ManyVersions, example={"versions": [NEW | {"model": "rose"}]})
)
def register_many(
    control: TheControl, who: Who, actor: Actor, many: Annotated[ManyVersions, Depends(body(ManyVersions, MANY_BYTES))]
) -> Response:
    """Register many versions of many models at once."""
    for namespace, model in {(each.namespace, each.model) for each in many.versions}:
        require(who, Permission.PUSH, namespace, model)
    return answer(VersionList(tuple(control.register_many(many.versions, actor=actor))))


@router.patch(
    f"{MODEL}/versions/{{number}}", **described(Version, takes=Description, example={"description": "more rows"})
)
def describe_version(
    control: TheControl,
    actor: Actor,
    namespace: NamespaceName,
    name: ModelName,
    number: Number,
    said: Annotated[Description, Depends(body(Description))],
) -> Response:
    """Change a version's description or tags; its content never changes."""
    if said.owner is not None:
        raise InvalidInput("a version has no owner of its own", hint="change the model's", field="owner")
    control.registry.describe_version(
        namespace, name, number, description=said.description, tags=said.tags, actor=actor
    )
    return answer(control.registry.version(namespace, name, str(number)))


@router.delete(f"{MODEL}/versions/{{number}}", **described(None, status=204))
def delete_version(
    control: TheControl, actor: Actor, namespace: NamespaceName, name: ModelName, number: Number
) -> Response:
    """Delete a version; refused while a stage points at it. Its number is never given out again."""
    control.registry.delete_version(namespace, name, number, actor=actor)
    return Response(status_code=204)
