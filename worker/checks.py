"""Whether a declared model can be served, seen from its files: nothing is loaded, so it takes no time and no memory."""

from jobs.catalogue import ModelDeclaration
from p2p.errors import UnsupportedModel
from p2p.layouts import LAYOUTS
from p2p.layouts.base import beyond_half, require
from p2p.layouts.checks import described, wrong
from p2p.layouts.enlarging import beyond_stages, cell_of
from p2p.layouts.footprint import number_of_weights
from p2p.layouts.model_files import ModelFiles


def weights_of_checked(declaration: ModelDeclaration) -> int | None:
    """How many weights a model has that can be loaded, as far as its files show; None while they are on the hub.

    Raises:
        UnsupportedModel: naming all that is wrong with its files, or what is declared and the model cannot do.
    """
    layout = LAYOUTS.get(declaration.family)
    if layout is None:
        raise UnsupportedModel(f"{declaration.family!r} is not a model family: use one of {', '.join(LAYOUTS)}")
    files = ModelFiles.of(declaration)
    model = described(layout, files, declaration.scheduler)
    require(declaration.family, layout, model.parts)
    if found := [
        *wrong(declaration.family, layout, files, model),
        *beyond_half(layout, model.parts, declaration.torch_dtype),
        *beyond_stages(layout, files, model.parts, declaration.sizes),
    ]:
        raise UnsupportedModel("; ".join(map(str, found)))
    reads = layout.tokens(model.parts)
    if declaration.max_tokens is not None and reads is not None and declaration.max_tokens > reads:
        raise UnsupportedModel(
            f"max_tokens is {declaration.max_tokens} and the model reads {reads}: set it to {reads}, or leave it out"
        )
    for height, width in declaration.sizes:
        cell = cell_of(layout, files, model.parts, height, width)
        if height % cell or width % cell:
            raise UnsupportedModel(f"{height}x{width} pixels: both sides must be multiples of {cell}")
    return number_of_weights(layout, files, model)
