"""Puts a trained model where the service finds it: its folder, and its row of the models file."""

import shutil
from pathlib import Path

MODELS_FILE = Path("models.toml")


def ship(model: Path, target: Path, name: str, row: str, models_file: Path = MODELS_FILE) -> None:
    """Copies a model's folder to `target`, and adds its row to the models file unless that has one of this name."""
    if model.resolve() != target.resolve():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(model, target)
    declared = models_file.read_text(encoding="utf-8")
    if f'id = "{name}"' not in declared:
        models_file.write_text(f"{declared.rstrip()}\n\n{row.strip()}\n", encoding="utf-8")
