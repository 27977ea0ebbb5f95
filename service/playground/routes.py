"""The playground: a page to try edits with, at `/`. Files as they lie in `service/playground/page`, read once.

No part of the API's description, and no key is needed to read it: what it does, it does through the API like any other
client. What the page may load is said by its Content-Security-Policy (`service.http.pages`).
"""

from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Request, Response

from service.http.dependencies import PlaneOfApp
from service.http.pages import PageFile, page_policy
from service.plane import Plane

FOLDER = Path(__file__).with_name("page")
#: A key that no artifact has: where its URL leads is where artifacts lie.
_NOWHERE = "jobs/nobody/no/picture.png"


def playground(prefix: str = "") -> APIRouter:
    """The page's routes; reads its files.

    Args:
        prefix: stands before the addresses that its HTML names (`layers.prefixed`). Its scripts and styles name
            each other by relative ones, and find the API from where they lie themselves.
    """
    paths = [path for path in FOLDER.rglob("*") if path.is_file()]
    files = {path.relative_to(FOLDER).as_posix(): PageFile.read(path, prefix) for path in paths}
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request, plane: PlaneOfApp) -> Response:
        return files["index.html"].answer(request, {"Content-Security-Policy": policy(plane)})

    @router.api_route("/playground/{name:path}", methods=["GET", "HEAD"])
    async def file(name: str, request: Request, plane: PlaneOfApp) -> Response:
        if (found := files.get(name)) is None:
            raise HTTPException(404)
        # The page lies under its own name as well.
        is_page = found.media_type.startswith("text/html")
        return found.answer(request, {"Content-Security-Policy": policy(plane)} if is_page else {})

    return router


def policy(plane: Plane) -> str:
    """What the page may load, and from where: itself, the API beside it, and pictures from where artifacts lie."""
    parts = urlsplit(plane.url(_NOWHERE))
    return page_policy("data:", "blob:", f"{parts.scheme}://{parts.netloc}")
