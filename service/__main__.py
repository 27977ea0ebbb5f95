"""`python -m service`: serves the API."""

import sys

import uvicorn

from service.app import create_app
from service.jobs.catalogue import load_catalogue
from service.jobs.errors import InvalidCatalogue, InvalidStorage
from service.jobs.logs import set_up_logs
from service.jobs.metrics import API, show_process
from service.jobs.settings import settings_or_exit
from service.jobs.storage import open_storage
from service.settings import Settings
from service.tokens import token_counters


def main() -> None:
    """Read the settings once and serve until told to stop."""
    settings = settings_or_exit(Settings)
    set_up_logs(settings.log_format)
    try:
        token_counters(load_catalogue(settings.models_file))
        open_storage(settings.storage_url)
    except (InvalidCatalogue, InvalidStorage) as error:
        sys.exit(str(error))
    show_process(API)
    # uvicorn's own line a request would hold the query, and with it the signatures of artifacts: see service.access.
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
