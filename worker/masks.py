"""The masks that a job's blends name, fetched, and what they and the boxes of blends bound in the picture.

The library is given them over what the model draws, and keeps the source outside (`p2p.masks`). Of a picture that was
sent the source is what the model was given of it, so what comes back is bounded once more, in the picture's own size:
outside it is what was sent, pixel by pixel.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image, ImageChops

from jobs.images import image_key, mask_key
from p2p.mask_reading import by_colour, has_both, white_share
from p2p.masks import bounds_of
from p2p.spec import EditSpec, MaskImage
from worker.events import Failed
from worker.fitting import Fitting, fitting_of
from worker.photo import FetchImage, NoPhoto, Photo


@dataclass(frozen=True, eq=False, kw_only=True)
class Masks:
    """What bounds a job's edits.

    Attributes:
        seen: the masks by their names, over what the model draws.
        bounds: for each target, white where it may change at most, in the size of the picture that comes back; None
            where it is not bounded.
    """

    seen: Mapping[str, Image.Image]
    bounds: tuple[Image.Image | None, ...]


def masks_of(spec: EditSpec, photo: Photo | None, fetch: FetchImage) -> Masks:
    """A spec's masks.

    Args:
        photo: what is edited; None if it is generated.
    Raises:
        NoPhoto: one cannot be had, or nothing may change.
    """
    drawn = (spec.sampling.width or 0, spec.sampling.height or 0)
    fitting = fitting_of(drawn, drawn) if photo is None else photo.fitting
    whole = {mask.name: fitting.whole_mask(_read(mask, fetch)) for mask in spec.masks.values()}
    size = fitting.size[1], fitting.size[0]
    bounds = []
    for target in spec.targets:
        bound = bounds_of(target.local_blend, size, whole)
        bounds.append(None if bound is None else _some(Image.fromarray(bound.numpy()).convert("L"), fitting))
    return Masks(seen={name: fitting.mask_seen(mask) for name, mask in whole.items()}, bounds=tuple(bounds))


def _read(mask: MaskImage, fetch: FetchImage) -> Image.Image:
    """A mask at its own resolution: mode L, white where it is painted, black elsewhere.

    The service says by what it is read when the edit is posted. An edit that was posted before it did is of a time when
    colours alone were read, and nobody looked whether they say anything.
    """
    upload = mask.upload or ""
    by_its_alpha = mask.read_by in ("alpha", "transparency")
    with Image.open(io.BytesIO(fetch(mask_key(upload) if by_its_alpha else image_key(upload)))) as file:
        read = file.convert("L") if by_its_alpha else by_colour(file)
    if mask.read_by == "transparency":
        read = ImageChops.invert(read)
    if not has_both(white_share(read)):
        message = "the mask is all of one level, so it bounds nothing: paint what may change, and send the edit again"
        raise NoPhoto(Failed(code="mask_uniform", message=message))
    return read


def _some(bound: Image.Image, fitting: Fitting) -> Image.Image:
    """A bound within which the model sees something; raises `NoPhoto`."""
    if bound.crop(fitting.of_picture).getbbox() is None:
        message = (
            "nothing of what the box and the mask let change lies in the part of the picture that the model is given: "
            'enlarge them, or take all of the picture by "fit": "contain"'
        )
        raise NoPhoto(Failed(code="nothing_may_change", message=message))
    return bound
