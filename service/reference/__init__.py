"""The files of the page at `/docs`."""

from pathlib import Path

FOLDER = Path(__file__).parent
