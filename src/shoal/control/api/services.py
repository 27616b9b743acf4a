"""Routes of the catalogue of services: what is deployed where, how it does, and what changes it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from shoal.control.api.asking import (
    Actor,
    Deleted,
    Environment,
    Limit,
    NamespaceName,
    OneNamespace,
    Owner,
    Search,
    Seen,
    ServiceName,
    TheControl,
    Who,
)
from shoal.control.api.bodies import body
from shoal.control.api.describing import answer, described
from shoal.control.security.desk import require
from shoal.core.access import Permission, Principal
from shoal.core.catalogue import Differences, PromoteRequest, ScaleRequest, ServiceEntry, ServiceList, ServiceRequest
from shoal.core.errors import InvalidInput
from shoal.core.registry import DEFAULT_NAMESPACE
from shoal.core.service import Service

router = APIRouter(tags=["services"])

SERVICE = "/v1/services/{namespace}/{name}/{environment}"
EXAMPLE = {"service": {"name": "iris", "environment": "staging", "model": "iris", "ref": "latest", "replicas": 2}}

Expected = Annotated[int | None, Query(ge=1, description="The revision that must be there for this to happen.")]


@router.get("/v1/services", **described(ServiceList))
def services(
    control: TheControl,
    seen: Seen,
    namespace: OneNamespace = "",
    environment: Annotated[str, Query(description="Only of this environment.")] = "",
    search: Search = "",
    owner: Owner = "",
    deleted: Deleted = False,
    limit: Limit = 100,
    after: Annotated[str, Query(description="`next` of the page before.")] = "",
) -> Response:
    """The catalogue: every service in every environment with its owner, links, revision and health."""
    found, more = control.services.page(
        namespace=namespace,
        environment=environment,
        search=search,
        owner=owner,
        deleted=deleted,
        reach=seen,
        limit=limit,
        after=after,
    )
    return answer(ServiceList(tuple(found), more))


@router.get(SERVICE, **described(ServiceEntry))
def service(control: TheControl, namespace: NamespaceName, name: ServiceName, environment: Environment) -> Response:
    """One service in one environment, with its health."""
    return answer(control.services.entry(namespace, name, environment))


@router.put(SERVICE, **described(ServiceEntry, takes=ServiceRequest, example=EXAMPLE))
def put_service(
    control: TheControl,
    who: Who,
    actor: Actor,
    namespace: NamespaceName,
    name: ServiceName,
    environment: Environment,
    asked: Annotated[ServiceRequest, Depends(body(ServiceRequest))],
) -> Response:
    """Deploy a service, or change it; nodes follow within a second."""
    said = asked.service
    if (said.namespace, said.name, said.environment) != (namespace, name, environment):
        told = f"the path names another service than the body, which names {said.address}"
        raise InvalidInput(told, hint="say the same in both", field="service")
    _require_all(who, said)
    return answer(control.services.put(said, actor=actor, expected=asked.expected))


@router.delete(SERVICE, **described(None, status=204))
def delete_service(
    control: TheControl,
    actor: Actor,
    namespace: NamespaceName,
    name: ServiceName,
    environment: Environment,
) -> Response:
    """Undeploy a service; its models stay, and so does a tombstone in the catalogue."""
    control.services.delete(namespace, name, environment, actor=actor)
    return Response(status_code=204)


@router.get(f"{SERVICE}/history", **described(ServiceList))
def history(
    control: TheControl, namespace: NamespaceName, name: ServiceName, environment: Environment, limit: Limit = 100
) -> Response:
    """The revisions of a service, newest first."""
    return answer(ServiceList(tuple(control.services.history(namespace, name, environment, limit))))


@router.post(f"{SERVICE}/scale", **described(ServiceEntry, takes=ScaleRequest, example={"replicas": 3}))
def scale(
    control: TheControl,
    actor: Actor,
    namespace: NamespaceName,
    name: ServiceName,
    environment: Environment,
    asked: Annotated[ScaleRequest, Depends(body(ScaleRequest))],
) -> Response:
    """Change how many workers a service has."""
    return answer(control.services.scale(namespace, name, environment, asked.replicas, actor=actor))


@router.post(
    "/v1/services/{namespace}/{name}/promote",
    **described(ServiceEntry, takes=PromoteRequest, example={"from": "staging", "to": "production"}),
)
def promote(
    control: TheControl,
    actor: Actor,
    namespace: NamespaceName,
    name: ServiceName,
    asked: Annotated[PromoteRequest, Depends(body(PromoteRequest))],
) -> Response:
    """Let an environment answer with what another one answers with; it keeps its own sizes."""
    return answer(control.services.promote(namespace, name, asked.source, asked.to, actor=actor))


@router.get("/v1/diff", **described(Differences))
def diff_environments(
    control: TheControl,
    name: Annotated[str, Query(description="Name of the service.", examples=["iris"])],
    source: Annotated[str, Query(alias="from", description="An environment.", examples=["staging"])],
    target: Annotated[str, Query(alias="to", description="Another one.", examples=["production"])],
    namespace: Annotated[str, Query(description="A namespace.")] = DEFAULT_NAMESPACE,
) -> Response:
    """In what a service differs between two environments."""
    return answer(Differences(control.services.between(namespace, name, source, target)))


@router.post("/v1/diff", **described(Differences, takes=ServiceRequest, example=EXAMPLE))
def diff_service(
    control: TheControl, who: Who, asked: Annotated[ServiceRequest, Depends(body(ServiceRequest))]
) -> Response:
    """What would change if this service were put; nothing is changed."""
    require(who, Permission.READ, asked.service.namespace, asked.service.name)
    return answer(Differences(control.services.against(asked.service)))


def _require_all(who: Principal, service: Service) -> None:
    """What a service takes besides the right to deploy it: its model is to be asked by others, its files are to be
    fetched, the packages of its lock run code, and its workers may reach what nobody outside can.
    """
    require(who, Permission.INFER, service.model_namespace, service.model)
    for each in service.downloads:
        require(who, Permission.READ, each.namespace, each.model)
    if service.requirements:
        require(who, Permission.DEPLOY_CODE, service.namespace, service.name)
    if service.network:
        require(who, Permission.DEPLOY_NETWORK, service.namespace, service.name)
