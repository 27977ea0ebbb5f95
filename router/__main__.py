"""`python -m router`: sends each request to the cell that it concerns (docs/cells.md)."""

import sys

import uvicorn
from starlette.types import ASGIApp

from layers.access import Access
from layers.body_limit import BodyLimit
from layers.body_pace import BodyPace
from process import metrics
from process.logs import set_up_logs
from process.settings import settings_or_exit
from router.app import Router
from router.settings import RouterSettings
from service.server.listening import allowed_connections, options

#: What a form adds to the file that it brings, as a cell's API has it (`service.app`).
FORM_BYTES = 16_384


def application(settings: RouterSettings) -> ASGIApp:
    """The router, with bodies that are bounded and come at a pace, in a log of requests."""
    of_path = dict.fromkeys(("/v1/images", "/v1/verifications"), settings.max_image_bytes + FORM_BYTES)
    # In the order of the API: the outer one counts what the inner one waits for.
    paced = BodyPace(Router(settings), seconds=settings.body_seconds, rate=settings.min_rate)
    return Access(BodyLimit(paced, settings.max_body_bytes, of_path))


def main() -> None:
    """Read the settings once and serve until a signal comes."""
    settings = settings_or_exit(RouterSettings)
    set_up_logs(settings.log_format)
    try:
        metrics.serve_metrics(metrics.ROUTER, settings.metrics_host, settings.metrics_port)
    except metrics.MetricsUnavailable as error:
        sys.exit(str(error))
    how = options(settings, connections=allowed_connections(settings.connections))
    # Each answer brings those of its cell.
    how |= {"server_header": False, "date_header": False, "proxy_headers": False}
    server = uvicorn.Server(uvicorn.Config(application(settings), host=settings.host, port=settings.port, **how))
    server.run()
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    main()
