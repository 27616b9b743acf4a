"""Routes for serving nodes: what to serve, what has changed since, and how they do."""

from __future__ import annotations

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from shoal.control.api.asking import TheControl
from shoal.control.api.bodies import body
from shoal.control.api.describing import answer, described
from shoal.control.api.feed import MAX_WAIT_SECONDS, FeedWatch
from shoal.control.audit.reported import Reported
from shoal.control.control import NODE_SECONDS
from shoal.control.registry.documents import MAX_NUMBER
from shoal.core.catalogue import NodeList, RouteList
from shoal.core.errors import InvalidInput
from shoal.core.keyring import DeniedBatch
from shoal.core.routes import Feed, NodeStatus, Route

router = APIRouter(tags=["nodes"])

MAX_DENIED = 1000
DENIED = {"attempts": [{"kind": "permission_denied", "who": "KEY", "permission": "infer", "model": "iris", "count": 3}]}
REPORT = {"node": "node-1", "url": "http://127.0.0.1:8080", "position": 3}


def _watch(request: Request) -> FeedWatch:
    watch: FeedWatch = request.app.state.watch
    return watch


@router.get("/v1/routes/{address}", **described(Route))
def route(
    control: TheControl,
    address: Annotated[
        str, Path(description="NAME[+ENVIRONMENT][@NAMESPACE]", max_length=300, examples=["iris+staging"])
    ],
    version: Annotated[str, Query(description="A version's number, if not the one that the service serves.")] = "",
) -> Response:
    """How an address is answered: the service, the version and its files."""
    return answer(control.resolver.resolve(address, version))


@router.get("/v1/desired", **described(RouteList))
def desired(
    control: TheControl, environment: Annotated[str, Query(description="Only of this environment.")] = ""
) -> Response:
    """The routes of all services that run without being called."""
    return answer(RouteList(tuple(control.resolver.desired(environment or None))))


@router.get("/v1/feed", **described(Feed))
async def feed(
    control: TheControl,
    watch: Annotated[FeedWatch, Depends(_watch)],
    after: Annotated[
        int, Query(ge=-1, description="`position` of the part before; 0 begins, -1 only asks for it.")
    ] = 0,
    wait: Annotated[
        float, Query(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait if there is nothing new yet.")
    ] = 0.0,
) -> Response:
    """What has changed since; with `wait`, as soon as something has."""
    found = await anyio.to_thread.run_sync(control.registry.changes, after)
    if wait and not found.changes and not found.reset:
        await watch.wait(after, wait)
        found = await anyio.to_thread.run_sync(control.registry.changes, after)
    return answer(found)


@router.put("/v1/nodes/{node}", **described(None, takes=NodeStatus, example=REPORT, status=204))
def report(
    control: TheControl,
    node: Annotated[str, Path(max_length=200, description="Name of the node.", examples=["node-1"])],
    status: Annotated[NodeStatus, Depends(body(NodeStatus))],
) -> Response:
    """A node tells how it and its services do; one that is silent for long is forgotten."""
    if status.node != node:
        raise InvalidInput(f"the path names {node!a}, the body {status.node!a}", field="node")
    control.nodes.report(status)
    return Response(status_code=204)


@router.post("/v1/nodes/{node}/denied", **described(None, takes=DeniedBatch, example=DENIED, status=204))
def denied(
    request: Request,
    node: Annotated[str, Path(max_length=200, description="Name of the node.", examples=["node-1"])],
    batch: Annotated[DeniedBatch, Depends(body(DeniedBatch))],
) -> Response:
    """A node tells what it has denied at its data port; the audit log has it then."""
    if len(batch.attempts) > MAX_DENIED:
        raise InvalidInput(
            f"more than {MAX_DENIED} attempts at once", hint="tell some of them as one", field="attempts"
        )
    if any(not 1 <= each.count <= MAX_NUMBER for each in batch.attempts):
        raise InvalidInput("an attempt has a count of at least 1", field="attempts")
    reported: Reported = request.app.state.reported
    reported.record(node, batch.attempts)
    return Response(status_code=204)


@router.get("/v1/nodes", **described(NodeList))
def nodes(control: TheControl) -> Response:
    """The nodes that have reported lately."""
    return answer(NodeList(tuple(control.nodes.nodes(NODE_SECONDS))))
