"""The API's reference at `/docs`: Swagger UI over `/openapi.json`.

FastAPI's own page loads its scripts from another server and runs one that stands in it. Here all files are ours
(`service/reference`; `python -m tools.swagger_ui` renews them), and the page names the hash of each. It holds no
address that begins at the root, so that it works below any path.
"""

from fastapi import APIRouter, HTTPException, Request, Response

from service.http.pages import PageFile, name_of, page_policy
from service.reference import FOLDER

#: Swagger UI's style sheet has its icons in `data:` URLs.
POLICY = page_policy("data:")


def reference() -> APIRouter:
    """The routes of the reference; reads its files."""
    files = {name_of(path): PageFile.read(path) for path in FOLDER.iterdir() if path.suffix != ".py" and path.is_file()}
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def page(request: Request) -> Response:
        return files["index.html"].answer(request, {"Content-Security-Policy": POLICY})

    @router.get("/docs/{name}")
    async def file(name: str, request: Request) -> Response:
        if name == "index.html" or (found := files.get(name)) is None:
            raise HTTPException(404)
        return found.answer(request, {})

    @router.get("/redoc")
    async def other_reference() -> Response:
        """There was a second reference here, with foreign scripts; the first one shows the same."""
        return Response(status_code=308, headers={"Location": "docs"})

    return router
