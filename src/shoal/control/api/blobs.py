"""Routes of files: blobs by their digests and archives that are unpacked here."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Annotated, BinaryIO

import anyio
from fastapi import APIRouter, Depends, Header, Path, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from shoal.control.api.asking import Digest, TheControl, Who
from shoal.control.api.bodies import Stream, body, spool
from shoal.control.api.describing import answer, described
from shoal.control.security.desk import Hidden, require
from shoal.core.access import ANY, Permission, Principal
from shoal.core.catalogue import Digests, Examined
from shoal.core.errors import InvalidInput, NotFound
from shoal.core.registry import Manifest

router = APIRouter(tags=["files"])

CHUNK = 256 * 1024
TREE = "f27e01fe7624cca3e69811a0bf9a4efd9dca9fd39f7a3a8f939cae0cfe8cdfb8"


def _uploads(request: Request) -> anyio.CapacityLimiter:
    limiter: anyio.CapacityLimiter = request.app.state.uploads
    return limiter


Uploads = Annotated[anyio.CapacityLimiter, Depends(_uploads)]
Length = Annotated[int | None, Header(alias="content-length", ge=0, include_in_schema=False)]


@router.put("/v1/blobs/{sha256}", **described(None, streamed=True, example="tree\n", status=204))
async def put_blob(
    request: Request, control: TheControl, uploads: Uploads, sha256: Digest, length: Length = None
) -> Response:
    """Store a file under its digest; size and digest are verified. To store what is there already changes nothing."""
    if length is None:
        raise InvalidInput("an upload says its length first", hint="send Content-Length", field="content-length")
    settings = control.settings
    source = Stream(request, settings.upload_bytes, settings.upload_idle_seconds)
    buffered = io.BufferedReader(source, CHUNK)
    await anyio.to_thread.run_sync(control.blobs.put, sha256, length, buffered, limiter=uploads)
    await source.drain()
    return Response(status_code=204)


@router.get("/v1/blobs/{sha256}", **described(bytes))
def get_blob(control: TheControl, who: Who, sha256: Digest) -> Response:
    """The content of a blob. What the digest says is for the reader to verify."""
    _require_one(who, lambda: control.registry.holders_of_blob(sha256))
    return StreamingResponse(
        _chunks(control.blobs.open(sha256)), media_type="application/octet-stream", headers={"etag": f'"{sha256}"'}
    )


@router.head("/v1/blobs/{sha256}", **described(None))
def has_blob(control: TheControl, who: Who, sha256: Digest) -> Response:
    """Whether a blob is there."""
    _require_one(who, lambda: control.registry.holders_of_blob(sha256))
    if not control.blobs.has(sha256):
        raise NotFound(f"there is no blob {sha256}")
    return Response(status_code=200)


@router.post("/v1/blobs/missing", **described(Digests, takes=Digests, example={"digests": [TREE]}))
def missing(
    control: TheControl,
    who: Who,
    asked: Annotated[Digests, Depends(body(Digests))],
    namespace: Annotated[str, Query(max_length=100, description="Where a version is to be made of them.")] = "",
    model: Annotated[str, Query(max_length=200, description="Of which model.")] = "",
    size: Annotated[int, Query(ge=0, alias="bytes", description="Bytes of all files of that version.")] = 0,
) -> Response:
    """Which of these blobs are not there and must be uploaded.

    Who says what they are for is told now if its namespace has no room for it, and not when all is sent.
    """
    if namespace:
        require(who, Permission.PUSH, namespace, model)
    found = tuple(each for each in dict.fromkeys(asked.digests) if not control.blobs.has(each))
    if namespace and found:
        control.registry.check_room(namespace, model, size)
    return answer(Digests(found))


@router.get("/v1/manifests/{digest}", **described(Manifest))
def manifest(
    control: TheControl,
    who: Who,
    digest: Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="Digest of a version.", examples=["DIGEST"])],
) -> Response:
    """The files of an artifact, by the artifact's digest."""
    _require_one(who, lambda: control.registry.holders_of_manifest(digest))
    return answer(control.registry.manifest(digest))


@router.post("/v1/archives", **described(Examined, streamed=True, example="ARCHIVE"))
async def take_archive(
    request: Request,
    control: TheControl,
    uploads: Uploads,
    name: Annotated[str, Query(max_length=255, description="Name of the file, such as `iris.tar.gz`.")] = "archive",
) -> Response:
    """Unpack a tar or zip archive, store its files and say what they are; nothing is registered yet."""
    settings = control.settings
    async with uploads:
        with control.scratch() as folder:
            target = folder / "upload"
            await spool(request, target, settings.upload_bytes, settings.upload_idle_seconds)
            examined = await anyio.to_thread.run_sync(control.take, target, name)
    return answer(examined)


def _require_one(who: Principal, holders: Callable[[], list[tuple[str, str]]]) -> None:
    """Let through whoever may read one of the models that have this."""
    if who.allows(Permission.READ, ANY) or who.allows(Permission.NODE, ANY):
        return
    found = holders()
    if not found:
        raise NotFound("no version has this")
    if not any(who.allows(Permission.READ, *each) for each in found):
        raise Hidden


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk
