"""The published method of joint attention, as it is asked for: for comparisons with its numbers."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from p2p.part import Part
from p2p.spec.complaints import Complaint, counted
from p2p.spec.target import Target
from p2p.spec.windows import StepWindow

Blocks = Annotated[tuple[Annotated[int, Field(ge=0, le=1000)], ...], *counted(1, 128)]


class Reference(Part):
    """The part of its source that a target's attention takes (Shin et al. 2025, ICCV, "exploring-mmdit").

    Words only say where a local blend may change the picture. Blocks are numbered as the network has them; the
    published code counts the second attention of SD3.5 medium's blocks too.
    """

    method: Literal["qiki", "qi", "ki", "qk", "kivi", "T2I", "I2I"] = Field(
        "qiki",
        description="q, k and v are the queries, keys and values that are taken, i those of the picture alone. T2I and "
        "I2I are the logits of the picture's rows at the columns of the text and of the picture.",
    )
    steps: StepWindow = Field(StepWindow(stop=0.2), description="The steps at which it is taken; cut off, not rounded.")
    blocks: Blocks | None = Field(None, description="In which blocks it is taken; in all where absent.")
    read_blocks: Blocks | None = Field(
        None, description="In which blocks a local blend's maps are read; all if absent."
    )
    blend_steps: StepWindow = Field(StepWindow(stop=0.5), description="The steps after which latents are blended.")
    blended_steps: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Of how many blended steps, the last ones, a blend's maps are the mean; of all where absent."
    )
    tokenizer: Literal["both", "clip", "t5"] = Field(
        "both", description="Whose tokens of a word are read, of models with two kinds of them."
    )


def unmet(reference: Reference | None, compat: str | None, targets: Sequence[Target]) -> Iterator[Complaint]:
    """What a spec says beside its `reference` that has no meaning there."""
    if reference is None:
        return
    if compat is None:
        message = '`reference` is the published method, for comparisons: say "compat": "reference" too, or leave it out'
        yield ("reference",), "reference_conflict", message
    for index, target in enumerate(targets):
        if target.edits != ():
            message = 'the published method has no edits of words: send "edits": []'
            yield ("targets", index, "edits"), "reference_conflict", message
        elif target.self_window.stop > target.self_window.start:
            message = "`reference.steps` says when the source's attention is taken: leave it out"
            yield ("targets", index, "self_window"), "reference_conflict", message
        if target.local_blend is not None and target.local_blend.source_words is None:
            message = "the published method takes words of both prompts: name the source's, or []"
            yield ("targets", index, "local_blend", "source_words"), "reference_conflict", message
