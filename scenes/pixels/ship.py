"""Puts a trained model where the service finds it: its folder, and its row of the models file."""

import shutil
from pathlib import Path

from scenes.pixels.export import MODEL

MODELS = Path("models.toml")
#: The row as it is written; the guidance scale is the one that the judge liked best.
ROW = """
[[models]]
id = "scenes-if"
description = "The same world, drawn in pixels by the design of the paper: words and pixels in one softmax. 64x64."
path = "scenes/pixels/model"
family = "deepfloyd_if"
tokenizer = "scenes/pixels/model/tokenizer/tokenizer.json"
vocabulary = "scenes/model/vocabulary.txt"
max_tokens = 77
sizes = [[64, 64]]
# What the judge sees of its pictures: `python -m scenes.pixels.evaluate --guidance {guidance}`.
defaults = {{ steps = {steps}, guidance_scale = {guidance}, keep = "things" }}
limits = {{ max_steps = 100, max_targets = 8 }}
"""


def ship(model: Path, steps: int, guidance_scale: float, target: Path = MODEL, models: Path = MODELS) -> None:
    """Copies a model's folder to `target`, and adds its row to the models file unless it has one.

    Args:
        steps, guidance_scale: what requests get that name none.
    """
    if model.resolve() != target.resolve():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(model, target)
    said = models.read_text(encoding="utf-8")
    if 'id = "scenes-if"' not in said:
        models.write_text(said + ROW.format(steps=steps, guidance=guidance_scale), encoding="utf-8")
