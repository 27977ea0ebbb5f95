"""`python -m service`: serves the API."""

import sys

import uvicorn

from service.app import create_app
from service.jobs.catalogue import load_catalogue
from service.jobs.errors import InvalidCatalogue
from service.settings import Settings
from service.tokens import token_counters


def main() -> None:
    """Read the settings once and serve until told to stop."""
    settings = Settings()
    try:
        token_counters(load_catalogue(settings.models_file))
    except InvalidCatalogue as error:
        sys.exit(str(error))
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
