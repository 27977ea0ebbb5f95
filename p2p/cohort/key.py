"""What jobs must share to be neighbours in one forward pass, and how many rows of it a job takes; both before it joins.

A key is a plain value; torch is needed to make one of a spec.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from p2p.spec.loras import LoraUse

if TYPE_CHECKING:
    from p2p.families.base import ModelFamily
    from p2p.spec import EditSpec


@dataclass(frozen=True)
class BatchKey:
    """Jobs of one key can be in one forward pass. All else may differ: steps, schedulers, guidance, seeds, edits.

    Attributes:
        revision: of the model.
        dtype: of its weights, such as "float32".
        latents: channels, height and width.
        cell: pixels of a picture along one cell of them.
        chunks: how many each prompt is read in, for all rows have as many tokens.
        loras: that the model is changed by.
    """

    revision: str
    dtype: str
    latents: tuple[int, int, int]
    cell: int
    chunks: int
    loras: tuple[LoraUse, ...]

    def differences(self, other: "BatchKey") -> tuple[str, ...]:
        """Each field in which two keys differ, with both values."""
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return tuple(f"{_SAID[name]} {_said(one)} and {_said(two)}" for name, one, two in pairs if one != two)


_SAID = {
    "revision": "the model revisions",
    "dtype": "the precisions",
    "latents": "latents of the sizes",
    "cell": "pixels of a picture along one cell of its latents of",
    "chunks": "numbers of chunks of a prompt",
    "loras": "the LoRAs",
}


def _said(value: object) -> str:
    if isinstance(value, tuple) and all(isinstance(each, LoraUse) for each in value):
        return "+".join(f"{use.id} ({use.weight:g})" for use in value) or "none"
    return str(value)


def batch_key(spec: "EditSpec", family: "ModelFamily") -> BatchKey:
    """The key of a spec.

    Raises:
        UnsupportedSize: the model cannot draw the size.
        PromptTooLong: a prompt has more tokens than are read in chunks.
    """
    from p2p.preparation import chunks_of, pixels_a_cell

    return BatchKey(
        revision=family.revision,
        dtype=str(family.dtype).removeprefix("torch."),
        latents=family.latent_shape(spec.sampling.height, spec.sampling.width),
        cell=pixels_a_cell(spec.sampling, family),
        chunks=chunks_of(spec, family),
        loras=spec.loras,
    )


def rows_of(spec: "EditSpec", family: "ModelFamily", *, is_kept: bool = False) -> int:
    """The most rows that a spec takes in any step, with all its seeds.

    Args:
        is_kept: whether its source is kept or an inverted photo: that needs no unconditional row.
    """
    from p2p.change.beside import rows_beside
    from p2p.change.choosing import explicit
    from p2p.preparation import with_defaults
    from p2p.rooms import ASKED_ABOUT, expanded, rows_tried

    said = explicit(spec)
    rows = expanded(said)
    # Without its seed, which may be still to be drawn.
    scale = with_defaults(spec.sampling.model_copy(update={"seed": None})).guidance_scale
    guided = 2 if family.guides(cast(float, scale)) else 1
    targets, beside = len(rows.targets), len(rows_beside(rows))
    drawn = beside + (1 + targets * guided if is_kept else (1 + targets) * guided)
    return len(spec.seeds) * max(drawn, ASKED_ABOUT * rows_tried(said))
