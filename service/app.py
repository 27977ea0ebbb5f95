"""The application: routes, errors and connections put together. Nothing else."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from layers.access import Access
from layers.body_limit import BodyLimit
from layers.body_pace import BodyPace
from layers.cors import allow_origins, around
from layers.heads import Heads
from layers.hosts import AllowedHosts
from layers.origins import AllowedOrigins
from layers.pieces import Pieces
from layers.prefixed import Prefixed
from p2p.version import VERSION
from service.alignments import routes as alignments
from service.artifacts import routes as artifacts
from service.batches import routes as batches
from service.connections import connected
from service.deliveries import routes as deliveries
from service.edits import routes as edits
from service.http import health, metrics
from service.http.described import install_openapi, operation_id
from service.http.door import PROBED, Door
from service.http.errors import install_error_handlers
from service.http.webhooks_described import describe_webhooks
from service.images import routes as images
from service.inversions import routes as inversions
from service.mcp import door
from service.mcp.door import McpDoor
from service.models import routes as models
from service.models.offered import Offered
from service.models.reloading import followed
from service.openai import routes as openai
from service.plane import Plane
from service.playground.routes import playground
from service.reference.routes import reference
from service.settings import Settings
from service.subjects import routes as subjects
from service.telemetry import TELEMETRY
from service.verifications import routes as verifications

#: What a form adds to the file that it brings: boundaries and the head of the part.
FORM_BYTES = 16_384
#: Paths whose bodies are as large as pictures.
OF_PICTURES = ("/v1/images", "/v1/verifications")

#: The rooms of the API, in the order in which openapi.yaml has them.
ROOMS = (
    edits,
    batches,
    deliveries,
    openai,  # before images: no image has the id "edits"
    images,
    subjects,
    verifications,
    inversions,
    alignments,
    models,
    artifacts,
    health,
    metrics,
)

Connect = Callable[[Settings], AbstractAsyncContextManager[Plane]]


def create_app(settings: Settings, connect: Connect = connected) -> FastAPI:
    """The API as an ASGI application; `connect` opens what it works with for as long as it runs."""

    agents = McpDoor()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with connect(settings) as plane, AsyncExitStack() as doors:
            app.state.plane = plane
            doors.push_async_callback(plane.later.aclose)
            if settings.mcp:
                await doors.enter_async_context(agents.opened())

            def offer(offered: Offered) -> None:
                app.state.plane = app.state.plane.offering(offered)

            async with followed(plane.models_file, offer):
                yield

    app = FastAPI(
        title="Prompt-to-prompt image editing",
        summary="Edit a generated picture by editing its prompt (Hertz et al. 2022).",
        description="Every address that takes `GET` takes `HEAD` as well: the same status and headers, and no body.",
        version=VERSION,
        lifespan=lifespan,
        # A redirect would be built from the Host header, and no error has a body of its own.
        redirect_slashes=False,
        servers=[{"url": settings.public_url}] if settings.public_url else None,
        root_path_in_servers=False,
        # FastAPI's pages load foreign scripts: service.reference.routes.
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
        telemetry=TELEMETRY,
    )
    app.add_middleware(BodyPace, seconds=settings.body_seconds, rate=settings.min_rate)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, of_path=_largest(settings))
    hosts = AllowedHosts(settings.hosts, settings.public_url)
    origins = AllowedOrigins(settings.origins, settings.public_url)
    probed = frozenset() if settings.is_on_loopback else PROBED
    around(app, lambda inner: Door(inner, hosts=hosts, origins=origins, any_host=probed))
    allow_origins(app, settings.origins)
    if settings.prefix:
        around(app, lambda inner: Prefixed(inner, settings.prefix))
    around(app, Pieces)
    around(app, Heads)
    around(app, Access)  # last, so that it is outside of the others
    install_error_handlers(app)
    # First, for they are asked most; and not by `include_router`, which has each request look for its route twice.
    app.router.routes[:0] = edits.direct.routes
    for routes in ROOMS:
        app.include_router(routes.router)
    app.include_router(reference())
    if settings.mcp:
        app.router.routes.append(agents.route)
    if settings.playground:
        app.include_router(playground(settings.prefix))
    describe_webhooks(app)
    install_openapi(app)
    return app


def _largest(settings: Settings) -> dict[str, int]:
    """Bytes of a body, by the addresses that take more or fewer than others. A form is larger than the files in it."""
    of_path = dict.fromkeys(OF_PICTURES, settings.max_image_bytes + FORM_BYTES) | {door.PATH: door.MOST_BYTES}
    of_path["/v1/images/edits"] = 2 * settings.max_image_bytes + settings.max_body_bytes + FORM_BYTES
    return of_path
