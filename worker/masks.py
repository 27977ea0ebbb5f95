"""The masks that a job's blends name, fetched, and what they and the boxes of blends bound in the picture.

The library is given them over what the model draws, and keeps the source outside (`p2p.masks`). Of a picture that was
sent the source is what the model was given of it, so what comes back is bounded once more, in the picture's own size:
outside it is what was sent, pixel by pixel.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from p2p.masks import bounds_of
from p2p.spec import EditSpec
from worker.fitting import fitting_of
from worker.photo import FetchImage, Photo


@dataclass(frozen=True, eq=False, kw_only=True)
class Masks:
    """What bounds a job's edits.

    Attributes:
        seen: the masks by the uploads that they are, over what the model draws.
        bounds: for each target, white where it may change at most, in the size of the picture that comes back; None
            where it is not bounded.
    """

    seen: Mapping[str, Image.Image]
    bounds: tuple[Image.Image | None, ...]


def masks_of(spec: EditSpec, photo: Photo | None, fetch: FetchImage) -> Masks:
    """A spec's masks; raises `NoPhoto` where one cannot be had.

    Args:
        photo: what is edited; None where it is generated.
    """
    drawn = (spec.sampling.width or 0, spec.sampling.height or 0)
    fitting = fitting_of(drawn, drawn) if photo is None else photo.fitting
    whole = {}
    for upload in set(spec.masks.values()):
        with Image.open(io.BytesIO(fetch(upload))) as file:
            whole[upload] = fitting.whole_mask(file)
    size = fitting.size[1], fitting.size[0]
    bounds = [bounds_of(target.local_blend, size, whole) for target in spec.targets]
    return Masks(
        seen={upload: fitting.mask_seen(mask) for upload, mask in whole.items()},
        bounds=tuple(None if bound is None else Image.fromarray(bound.numpy()).convert("L") for bound in bounds),
    )
