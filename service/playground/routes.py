"""The playground: a page to try edits with, at `/`. Files as they lie in `service/playground/page`, read once.

No part of the API's description, and no key is needed to read it: what it does, it does through the API like any other
client. What the page may load is said by its Content-Security-Policy, so that nothing in a prompt or in an answer can
run as a script.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Request, Response

from service.edits.following import is_known
from service.http.dependencies import PlaneOfApp
from service.plane import Plane

FOLDER = Path(__file__).with_name("page")
CONTENT_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".png": "image/png",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
#: An address of ours in HTML.
_LINK = re.compile(rb'((?:href|src)=")/')
#: A key that no artifact has: where its URL leads is where artifacts lie.
_NOWHERE = "jobs/nobody/no/picture.png"


@dataclass(frozen=True)
class PageFile:
    """One file of the page.

    Attributes:
        tag: its entity tag (RFC 9110, 8.8.3), by its content.
    """

    content: bytes
    media_type: str
    tag: str

    @classmethod
    def read(cls, path: Path, prefix: str) -> "PageFile":
        """A file with the type that browsers get; raises `KeyError` for any other."""
        content = path.read_bytes()
        if path.suffix == ".html" and prefix:
            content = _LINK.sub(rb"\1" + escape(prefix).encode() + b"/", content)
        return cls(content, CONTENT_TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:16]}"')


def playground(prefix: str = "") -> APIRouter:
    """The page's routes; reads its files.

    Args:
        prefix: stands before the addresses that its HTML names (`service.http.prefixed`). Its scripts and styles name
            each other by relative ones, and find the API from where they lie themselves.
    """
    paths = [path for path in FOLDER.rglob("*") if path.is_file()]
    files = {path.relative_to(FOLDER).as_posix(): PageFile.read(path, prefix) for path in paths}
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request, plane: PlaneOfApp) -> Response:
        return _answer(files["index.html"], request, {"Content-Security-Policy": policy(plane)})

    @router.api_route("/playground/{name:path}", methods=["GET", "HEAD"])
    async def file(name: str, request: Request) -> Response:
        if (found := files.get(name)) is None:
            raise HTTPException(404)
        return _answer(found, request, {})

    return router


def policy(plane: Plane) -> str:
    """What the page may load, and from where: itself, the API beside it, and pictures from where artifacts lie."""
    parts = urlsplit(plane.url(_NOWHERE))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "font-src 'self'",
            "connect-src 'self'",
            f"img-src 'self' data: blob: {parts.scheme}://{parts.netloc}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _answer(file: PageFile, request: Request, headers: Mapping[str, str]) -> Response:
    # Asked for again each time, and answered 304: after an upgrade no old module meets a new one.
    said = {
        "ETag": file.tag,
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        **headers,
    }
    if is_known(file.tag, request.headers.get("If-None-Match", "")):
        return Response(status_code=304, headers=said)
    return Response(file.content, media_type=file.media_type, headers=said)
