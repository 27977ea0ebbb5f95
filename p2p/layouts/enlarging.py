"""Further models that make a model's pictures larger: which sizes they make, and what keeps them from being loaded."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from p2p.layouts.base import PIPELINE, Layout, Parts, Trouble, unhandled
from p2p.layouts.files import parts_of
from p2p.layouts.model_files import ModelFiles
from p2p.layouts.reach import Reach, nearest
from p2p.layouts.weights import troubles, weighted

#: As many times the pixels of a model's own pictures are other formats of them; more are a further model's.
MOST_AREAS = 4


def stage_of(layout: Layout, parts: Parts) -> Layout:
    """The layout of a further model, by its pipeline; the first one if it is of none, to say what is wrong with it."""
    kinds = parts[PIPELINE].kinds
    return next((layout.stages[kind] for kind in kinds if kind in layout.stages), next(iter(layout.stages.values())))


def reaches_of(layout: Layout, files: ModelFiles, parts: Parts) -> Sequence[Reach]:
    """What a model makes alone and with its further models, in their order; none if its sizes have nothing to do with
    further models."""
    reaches = list(layout.draws(parts)) if layout.draws else []
    for path in files.stages if layout.stages and reaches else ():
        further = parts_of(Path(path))
        reaches.append(reaches[-1].further(_factor(stage_of(layout, further), further, reaches[-1].side)))
    return reaches


def cell_of(layout: Layout, files: ModelFiles, parts: Parts, height: int, width: int) -> int:
    """Of what number the sides of a picture of a size must be multiples, those that further models make included."""
    reaches = reaches_of(layout, files, parts)
    return layout.cell(parts) * (reaches[nearest(reaches, height, width)].factor if reaches else 1)


def beyond_stages(
    layout: Layout, files: ModelFiles, parts: Parts, sizes: Sequence[tuple[int, int]]
) -> Iterator[Trouble]:
    """The sizes that only further models could make, which are not named."""
    reaches = reaches_of(layout, files, parts)
    if not layout.stages or not reaches:
        return
    side, further = reaches[-1].side, len(files.stages)
    for height, width in sizes:
        if height * width > MOST_AREAS * side**2:
            made = f"{further} stages" if further > 1 else "its stage" if further else "itself"
            yield Trouble(
                f"{height}x{width} pixels, and the model makes {side}x{side} by {made}",
                "name the models that make its pictures larger in `stages`, or take the size out",
            )


def wrong_stages(family: str, layout: Layout, files: ModelFiles, parts: Parts) -> Iterator[Trouble]:
    """Everything that keeps a model's further models from being loaded."""
    if not layout.stages or layout.draws is None:
        for path in files.stages:
            what = f"{path} is to make pictures larger, and {family} takes no further model"
            yield Trouble(what, "take `stages` out")
        return
    *_, reach = layout.draws(parts)
    for path in files.stages:
        further = parts_of(Path(path))
        stage = stage_of(layout, further)
        if found := list(unhandled(family, stage, further)):
            yield from found
            return
        factor = _factor(stage, further, reach.side)
        if factor < 2:
            yield Trouble(
                f"{path} is to make pictures of {reach.side}x{reach.side} pixels larger, and its own are no larger",
                "name `stages` in the order in which they run, each once",
            )
        yield from troubles(Path(path), weighted(stage, further))
        reach = reach.further(factor)


def _factor(stage: Layout, parts: Parts, side: int) -> int:
    """How many times as long a further model makes the sides of pictures; 1 where it cannot."""
    return max(1, stage.enlarges(parts, side)) if stage.enlarges else 1
