"""Artifacts of a storage that cannot serve them itself, under URLs that work for a while."""

from collections.abc import AsyncIterator

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from jobs.errors import ArtifactNotFound
from jobs.storage import CONTENT_TYPES, content_type_of, disposition_of
from layers.heads import IS_HEAD
from service.http.dependencies import PlaneOfApp
from service.http.errors import HandedOut, LinkRefused
from service.http.problems import problems
from service.plane import Plane

router = APIRouter(prefix="/v1/artifacts", tags=["artifacts"])

_CONTENT = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in sorted(set(CONTENT_TYPES.values()))}


@router.get(
    "/{key:path}", response_class=Response, responses={200: {"content": _CONTENT}, **problems(403, 404, 410, 414, 503)}
)
async def fetch_artifact(
    request: Request, key: str, plane: PlaneOfApp, expires: str = "", signature: str = "", once: str = ""
) -> Response:
    """One artifact, under a URL that an edit's answer gave. Of an edit that is not stored it is there once."""
    if not plane.signer.is_genuine(key, expires, signature, once=once == "true") or plane.signer.is_over(expires):
        raise LinkRefused
    # An artifact is written once under its key, so a browser may keep it as long as it likes.
    headers = {
        "Cache-Control": "private, max-age=86400, immutable",
        "Content-Disposition": disposition_of(key),
        "X-Content-Type-Options": "nosniff",
        # Opened by itself it is of our origin: whatever a browser takes it for, it runs nothing.
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    try:
        size, pieces = await plane.storage.opened(key)
        if IS_HEAD not in request.scope:
            pieces = await _begun(pieces)
    except ArtifactNotFound:
        if once == "true":
            raise HandedOut from None
        raise
    if once == "true":
        headers["Cache-Control"] = "no-store"
        if IS_HEAD not in request.scope:
            pieces = _then_removed(pieces, key, plane)
    # A piece at a time: who reads slowly costs no more than a piece.
    return StreamingResponse(pieces, media_type=content_type_of(key), headers=headers | {"Content-Length": str(size)})


async def _begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces of an artifact, the first of them read: of one that goes just then there is still a status to say so.

    Raises:
        ArtifactNotFound, StorageUnavailable: it cannot be read.
    """
    first = await anext(pieces, b"")

    async def all_of_them() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return all_of_them()


async def _then_removed(pieces: AsyncIterator[bytes], key: str, plane: Plane) -> AsyncIterator[bytes]:
    """The pieces of an artifact, which is removed once all of them are sent; who breaks off may come again."""
    async for piece in pieces:
        yield piece
    await to_thread.run_sync(plane.storage.remove, key)
