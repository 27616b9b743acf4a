"""Routes of namespaces and their policies."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from shoal.control.api.asking import Actor, NamespaceName, Seen, TheControl
from shoal.control.api.bodies import body
from shoal.control.api.describing import answer, described
from shoal.core.access import ANY
from shoal.core.catalogue import NamespaceChange, NamespaceList
from shoal.core.quotas import Usage
from shoal.core.registry import Namespace

router = APIRouter(tags=["namespaces"])

POLICY = {"policy": {"required_lineage": ["dataset"], "allow_code": False}}


@router.get("/v1/namespaces", **described(NamespaceList))
def namespaces(control: TheControl, seen: Seen) -> Response:
    """All namespaces: rooms of teams or tenants, in which names are unique."""
    places = None if seen is None else {place for place, _ in seen}
    every = places is None or ANY in places
    found = control.registry.namespaces()
    return answer(NamespaceList(tuple(each for each in found if every or each.name in (places or ()))))


@router.get("/v1/namespaces/{namespace}", **described(Namespace))
def namespace(control: TheControl, namespace: NamespaceName) -> Response:
    """One namespace with its policy."""
    return answer(control.registry.namespace(namespace))


@router.get("/v1/namespaces/{namespace}/usage", **described(Usage))
def usage(control: TheControl, namespace: NamespaceName) -> Response:
    """What a namespace holds, and may hold."""
    return answer(control.registry.usage(namespace))


@router.put("/v1/namespaces/{namespace}", **described(Namespace, takes=NamespaceChange, example=POLICY))
def put_namespace(
    control: TheControl,
    actor: Actor,
    namespace: NamespaceName,
    change: Annotated[NamespaceChange, Depends(body(NamespaceChange))],
) -> Response:
    """Make a namespace, or change its policy; a policy that is said replaces the whole policy that was there."""
    return answer(control.put_namespace(namespace, change, actor=actor))
