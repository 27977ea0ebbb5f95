"""What a blend by words keeps, kept in the pixels too: outside the words' region a picture is its source, to the pixel.

A blend of latents leaves a decoder's blur, and what the step after it moved. So the region is read once more, off the
maps of the whole run and at the picture's resolution, and its edge is soft. Other ways to find it were tried
(docs/automatic.md): all of the gain is the paste, as long as source and target both say where, and there is a margin.
"""

import torch
from torch import Tensor
from torch.nn import functional

from p2p.plan import BlendPlan
from p2p.spec import LocalBlend

#: Between these, the share of a map's maximum that parts a thing from the rest is the map's own (Otsu 1979): published
#: code takes .3 or .5 of any map.
LOWEST, HIGHEST = 0.2, 0.5
_DEFAULT = LocalBlend.model_fields["threshold"].default


def paste_mask(maps: Tensor, plan: BlendPlan, size: tuple[int, int]) -> Tensor:
    """How much of each target's own pixels is shown, (targets, height, width) float32 of 0 to 1.

    Half a cell of the maps wider than the region, and as much of a soft edge.

    Args:
        maps: (1 + targets, tokens, map_height, map_width), the mean of the run; the source first.
        plan: for maps of these tokens.
        size: height and width of the pictures.
    """
    half = max(1, round(size[0] / maps.shape[-2])) // 2
    regions = []
    for sides, threshold in zip(_shares(maps, plan.words, size), plan.threshold.tolist(), strict=True):
        regions.append(torch.stack([side > _threshold(side, threshold) for side in sides]).any(0))
    everywhere = (plan.words.sum((1, 2)) == 0)[:, None, None]
    mask = _softened(_widened((torch.stack(regions) | everywhere).float(), half), half)
    taken = _shares(maps, plan.subtract_words, size) > plan.subtract_threshold[:, None, None, None]
    stays = taken.any(1).float()
    # Where all else may change, a margin of the old ground would be a fringe around each thing; within a region of
    # words what stays keeps its margin.
    return mask * (1 - torch.where(everywhere, _narrowed(stays, half), _softened(stays, half)))


def pasted(pixels: Tensor, shown: Tensor) -> Tensor:
    """Pictures of which as much is shown as a mask says, and else the source.

    Args:
        pixels: (1 + targets, 3, height, width), the source first.
        shown: (targets, height, width) of 0 to 1.
    """
    source, mask = pixels[:1], shown[:, None].to(pixels)
    # Where all is shown, the picture itself: a sum and a difference would round it.
    mixed = torch.where(mask == 1, pixels[1:], source + mask * (pixels[1:] - source))
    return torch.cat([source, mixed])


def _shares(maps: Tensor, words: Tensor, size: tuple[int, int]) -> Tensor:
    """Of the named tokens, of the source (0) and of the target (1), (targets, 2, height, width), 1 at the most."""
    sources = maps[:1].expand(len(words), *maps.shape[1:])
    both = torch.stack([(of * words[:, side, :, None, None]).sum(1) for side, of in enumerate((sources, maps[1:]))], 1)
    both = functional.interpolate(both.float(), size=size, mode="bilinear", align_corners=False)
    # A side that names no word is zero everywhere, and above no threshold.
    return both / both.amax((-2, -1), keepdim=True).clamp(min=torch.finfo(both.dtype).tiny)


def _threshold(shares: Tensor, said: float) -> float:
    """One that was said, or Otsu's of this map: the value whose two sides differ most, within bounds."""
    if abs(said - _DEFAULT) > 1e-6:  # a tensor holds it as float32
        return said
    values = shares.flatten().sort().values.double()
    below = torch.arange(1, len(values))
    total = values.cumsum(0)
    apart = total[:-1] / below - (total[-1] - total[:-1]) / (len(values) - below)
    best = int((below * (len(values) - below) * apart**2).argmax())
    return float(((values[best] + values[best + 1]) / 2).clamp(LOWEST, HIGHEST))


def _widened(mask: Tensor, margin: int) -> Tensor:
    """(pictures, height, width), wider by a margin on each side; along one axis and then along the other."""
    if not margin:
        return mask
    side = 2 * margin + 1
    along = functional.max_pool2d(mask[:, None], (side, 1), 1, (margin, 0))
    return functional.max_pool2d(along, (1, side), 1, (0, margin))[:, 0]


def _narrowed(mask: Tensor, margin: int) -> Tensor:
    """(pictures, height, width), narrower by a margin on each side, with an edge of a pixel that is soft."""
    core = 1 - _widened(1 - mask, margin)
    padded = functional.pad(core[:, None], (1, 1, 1, 1), mode="replicate")
    return torch.minimum(mask, functional.avg_pool2d(padded, 3, 1)[:, 0])


def _softened(mask: Tensor, margin: int) -> Tensor:
    """1 where it was, and falling to 0 over a margin around it."""
    if not margin:
        return mask
    side = 2 * margin + 1
    wide = functional.pad(_widened(mask, margin)[:, None], (margin,) * 4, mode="replicate")
    mean = functional.avg_pool2d(functional.avg_pool2d(wide, (side, 1), 1), (1, side), 1)[:, 0]
    return torch.maximum(mask, mean)
