"""What a run is heading for, as small pictures, while it is under way.

They are decoded by the model's own autoencoder, from latents that are shrunk first where they are large. The usual
cheap way, a linear map from latents to colours, needs numbers that somebody has fitted to that very autoencoder, where
a model is declared here by a path alone, and gives pictures no larger than latents, which are 16x16 with the built-in
model. It would save little: a step costs several times what a preview does (`python -m benchmarks.previews`).
"""

from collections.abc import Sequence

from PIL import Image
from torch.nn import functional

from p2p.families.base import ModelFamily, to_images
from p2p.sampling import DenoisingStep

#: The longer side of a preview's picture at most, in pixels: as an autoencoder's cost grows with the area, a quarter of
#: that of a finished picture of 512x512.
MAX_SIDE = 256


def preview(step: DenoisingStep, family: ModelFamily) -> tuple[Image.Image, ...]:
    """A picture of each row of a run as its last step foretells it, no side longer than `MAX_SIDE`.

    To be asked for before the run goes on.

    Raises:
        ValueError: the step does not know where it is heading.
    """
    if step.clean is None:
        raise ValueError("this step is not of a run that goes on: its clean latents are not known")
    latents = step.clean()
    if not latents.is_floating_point():
        return tuple(_shrunk(picture) for picture in to_images(family.decode(latents)))
    shrunk = -(-max(latents.shape[-2:]) * family.scale_factor // MAX_SIDE)
    if shrunk > 1:
        height, width = (max(1, side // shrunk) for side in latents.shape[-2:])
        latents = functional.interpolate(latents, size=(height, width), mode="area")
    return to_images(family.decode(latents))


def _shrunk(picture: Image.Image) -> Image.Image:
    """The picture itself, no side longer than `MAX_SIDE`. Tokens have no mean, so they are not shrunk before."""
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    return picture


def preview_steps(count: int, steps: int, *, then_larger: bool = False) -> Sequence[int]:
    """After how many steps previews are made: `count` of them at most, evenly over the run, none after the last.

    Args:
        then_larger: whether further networks make the pictures larger after the last step. They take long, so the last
            preview shows the small pictures then, as they are finished.
    """
    parts = count if then_larger else count + 1
    asked = (round(number * steps / parts) for number in range(1, count + 1))
    return sorted({step for step in asked if 0 < step < steps + then_larger})
