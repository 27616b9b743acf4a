"""Routes of keys: who may do what, and the table of it that nodes ask for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from shoal.control.api.asking import Actor, TheControl, TheDesk, Who
from shoal.control.api.bodies import body
from shoal.control.api.describing import answer, described
from shoal.control.security import granting
from shoal.control.security.desk import Hidden
from shoal.core import keys as texts
from shoal.core.access import AccessTable, KeyRecord
from shoal.core.keyring import KeyEntry, KeyList, KeyRequest, NewKey

router = APIRouter(tags=["keys"])

EXAMPLE = {"name": "admin", "grants": [{"permissions": ["admin"], "namespace": "*"}]}


@router.get("/v1/keys", **described(KeyList))
def keys(control: TheControl, who: Who) -> Response:
    """The keys that one manages, revoked ones among them; nothing of their secrets."""
    return answer(KeyList(tuple(each for each in control.registry.list_keys() if granting.manages(who, each))))


@router.post("/v1/keys", **described(NewKey, takes=KeyRequest, example=EXAMPLE, status=201))
def create_key(
    control: TheControl, desk: TheDesk, who: Who, actor: Actor, asked: Annotated[KeyRequest, Depends(body(KeyRequest))]
) -> Response:
    """Make a key. Its text is told in this answer, and never again. The first key turns authentication on."""
    granting.check(who, asked)
    made = texts.generate()
    record = KeyRecord(
        id=made.id,
        name=asked.name,
        sha256=texts.digest(made.text),
        grants=asked.grants,
        tenant=granting.tenant_for(who, asked),
    )
    entry = control.registry.create_key(record, seconds=asked.seconds, actor=actor)
    desk.keys_changed()
    return answer(NewKey(key=made.text, entry=entry), 201)


@router.delete("/v1/keys/{id}", **described(KeyEntry))
def revoke_key(
    control: TheControl,
    desk: TheDesk,
    who: Who,
    actor: Actor,
    key_id: Annotated[str, Path(alias="id", max_length=100, description="Id of the key.", examples=["abcdefgh2345"])],
) -> Response:
    """Let a key in no more, from the next request on here and within seconds at all nodes."""
    if not granting.manages(who, control.registry.key(key_id)):
        raise Hidden
    revoked = control.registry.revoke_key(key_id, actor=actor)
    desk.keys_changed()
    return answer(revoked)


@router.get("/v1/access", **described(AccessTable))
def access(control: TheControl) -> Response:
    """All valid keys by their digests, for nodes; the feed tells when they change (`access`)."""
    return answer(control.registry.access())
