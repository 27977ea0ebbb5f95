"""JSON files of a model that a test changes."""

import json
from pathlib import Path


def changed(file: Path, **values: object) -> None:
    """A JSON file with other values."""
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
