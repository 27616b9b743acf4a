"""What the routes of the control API share: the control itself, who asks, and the parameters of their paths."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query
from starlette.requests import Request

from shoal.control.api.replays import HEADER
from shoal.control.caller import Caller
from shoal.control.control import Control
from shoal.control.registry.within import Reach
from shoal.control.security.desk import Desk
from shoal.core.access import ANY, Permission, Principal

ACTOR = "x-shoal-actor"
NOBODY = "local"
MAX_PAGE = 1000


def _control(request: Request) -> Control:
    control: Control = request.app.state.control
    return control


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


def _principal(request: Request) -> Principal:
    return _caller(request).principal


def _actor(request: Request) -> str:
    """Whose key it is; without one, who says to be asking, which is written down and proves nothing."""
    caller = _caller(request)
    if not caller.is_local:
        return caller.principal.id
    name = request.headers.get(ACTOR, "")
    return name if name and name.isprintable() and len(name) <= 100 else NOBODY


def _key(request: Request) -> str:
    """The idempotency key; two principals may use the same one."""
    key, caller = request.headers.get(HEADER, ""), _caller(request)
    return f"{caller.principal.id} {key}" if key and not caller.is_local else key


def _seen(request: Request) -> Reach | None:
    """What of a list may be shown; None: all of it."""
    principal = _principal(request)
    return None if principal.allows(Permission.READ, ANY) else principal.reach(Permission.READ)


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


TheControl = Annotated[Control, Depends(_control)]
Actor = Annotated[str, Depends(_actor)]
Key = Annotated[str, Depends(_key)]
Who = Annotated[Principal, Depends(_principal)]
Seen = Annotated[Reach | None, Depends(_seen)]
TheDesk = Annotated[Desk, Depends(_desk)]

NamespaceName = Annotated[str, Path(alias="namespace", description="A namespace.", examples=["default"])]
ModelName = Annotated[str, Path(alias="name", description="Name of the model.", examples=["iris"])]
Ref = Annotated[
    str, Path(alias="ref", description="A version's number or alias, a stage, or `latest`.", examples=["production"])
]
Number = Annotated[int, Path(alias="number", ge=1, description="A version's number.", examples=[1])]
Stage = Annotated[str, Path(alias="stage", description="A stage.", examples=["production"])]
ServiceName = Annotated[str, Path(alias="name", description="Name of the service.", examples=["iris"])]
Environment = Annotated[str, Path(alias="environment", description="An environment.", examples=["staging"])]
Digest = Annotated[
    str,
    Path(
        alias="sha256",
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the content, as 64 hexadecimal digits.",
        examples=["f27e01fe7624cca3e69811a0bf9a4efd9dca9fd39f7a3a8f939cae0cfe8cdfb8"],
    ),
]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many at most.")]
Deleted = Annotated[bool, Query(description="Tell of what is deleted, too.")]
Search = Annotated[str, Query(max_length=200, description="Text that must occur in name, description or tags.")]
Owner = Annotated[str, Query(max_length=200, description="Only what belongs to this owner.")]
OneNamespace = Annotated[str, Query(alias="namespace", description="Only of this namespace.")]
