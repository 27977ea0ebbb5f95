"""`python -m service`: serves the API."""

import sys

import uvicorn

from service.app import create_app
from service.jobs.catalogue import load_catalogue
from service.jobs.errors import InvalidCatalogue, InvalidStorage
from service.jobs.settings import settings_or_exit
from service.jobs.storage import open_storage
from service.settings import Settings
from service.tokens import token_counters


def main() -> None:
    """Read the settings once and serve until told to stop."""
    settings = settings_or_exit(Settings)
    try:
        token_counters(load_catalogue(settings.models_file))
        open_storage(settings.storage_url)
    except (InvalidCatalogue, InvalidStorage) as error:
        sys.exit(str(error))
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
