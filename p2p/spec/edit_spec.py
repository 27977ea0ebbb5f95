"""A whole edit: the source, the edited pictures, and how they are made."""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from p2p.change.reading import read
from p2p.chunks import LongPrompts
from p2p.part import Part
from p2p.spec.artifacts import Artifacts
from p2p.spec.complaints import MAX_COMPLAINTS, MAX_NAMES, RECORDED, Complaint, Location, counted, invalid
from p2p.spec.inversions import Direct, Inversion
from p2p.spec.loras import LoraUses, repeated
from p2p.spec.names import MODEL_FIELD, ModelName, Prompt, WordName
from p2p.spec.pictures import MaskImage, SourceImage
from p2p.spec.published import Reference
from p2p.spec.published import unmet as unmet_by_reference
from p2p.spec.sampling import Sampling
from p2p.spec.target import Target
from p2p.words import WrittenPrompt, written


class Source(Part):
    """What is edited: a picture made from a prompt, or one that is given."""

    prompt: Prompt = Field(description="What the picture is made from; of a picture that is given, what it shows.")
    image: SourceImage | None = Field(None, description="A picture that was not generated.")

    @model_validator(mode="before")
    @classmethod
    def _says_what_is_in_it(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("image") is not None and not _text(given.get("prompt")):
            message = (
                "a picture is edited by changing the words that describe it: "
                'say in a few words what it shows, such as "a cat on a beach"'
            )
            raise invalid([(("prompt",), "picture_without_prompt", message)])
        return given


def _undescribed(index: int, source: WrittenPrompt, target: WrittenPrompt) -> Iterator[Complaint]:
    """Nothing of a picture stays if the edited prompt has nothing of what is said to be in it."""
    if not read(source, target).related:
        message = (
            "the edited prompt has nothing in common with `source.prompt`, so nothing of the picture would be kept: "
            'describe the picture in `source.prompt`, and change some of these words; or send "edits": []'
        )
        yield ("targets", index, "prompt"), "picture_not_described", message


def _text(value: object) -> bool:
    """Whether a prompt says anything; what is no text at all is complained of elsewhere."""
    return value is not None and (not isinstance(value, str) or bool(value.strip()))


class EditSpec(Part):
    """A source picture and the edits of it, made in one run from one noise."""

    model: ModelName | None = Field(None, description=MODEL_FIELD)
    source: Source
    inversion: Inversion | None = Field(None, description="Of a source that is given; `direct` where absent.")
    targets: Annotated[tuple[Target, ...], *counted(0, 64)] = Field(
        description="The edited pictures; there may be none. Then a picture is made with its maps, and one that is "
        "given is inverted ahead."
    )
    sampling: Sampling = Sampling()
    artifacts: Artifacts = Artifacts()
    loras: LoraUses = Field((), description="With which the source and all targets are drawn, in this order.")
    long_prompts: LongPrompts = Field(
        "refuse",
        description='What happens to prompts of more tokens than the model reads: "chunks" has it read them piece by '
        "piece, as other programs do. The source's picture is then another one than alone.",
    )
    compat: Literal["reference"] | None = Field(
        None, description='"reference" reproduces the published code, its quirks included; for comparisons.'
    )

    reference: Reference | None = Field(
        None,
        exclude_if=lambda reference: reference is None,  # as `p2p.spec.blend` says of `fresh_noise`
        description="Of models whose words and pictures share one attention, the published method in the place of "
        "edits of words; with `compat` alone.",
    )

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        if info.context != RECORDED and (complaints := list(islice(self._complaints(), MAX_COMPLAINTS))):
            raise invalid(complaints)
        return self

    @property
    def prompts(self) -> tuple[str, ...]:
        """The source's prompt, then each target's: the rows of the run."""
        return (self.source.prompt, *(target.prompt for target in self.targets))

    @property
    def seeds(self) -> tuple[int, ...]:
        """One for each run of the whole; 0 where none is said."""
        return self.sampling.seeds or (self.sampling.seed or 0,)

    @property
    def masks(self) -> dict[int, MaskImage]:
        """The pictures that say where targets may change, by the numbers of these targets."""
        blends = ((index, target.local_blend) for index, target in enumerate(self.targets))
        return {index: blend.mask for index, blend in blends if blend is not None and blend.mask is not None}

    @property
    def names_pictures(self) -> bool:
        """Whether it needs a picture that is not generated."""
        return self.source.image is not None or bool(self.masks)

    def of_seeds(self, *seeds: int) -> "EditSpec":
        """The same edits from other seeds, at least one."""
        given = {"seed": seeds[0], "seeds": None} if len(seeds) == 1 else {"seed": None, "seeds": seeds}
        return self.model_copy(update={"sampling": self.sampling.model_copy(update=given)})

    def _complaints(self) -> Iterator[Complaint]:
        if self.source.image is not None:
            yield from self._complaints_of_inversion()
        elif self.inversion is not None:
            message = "nothing is inverted where the source is generated: name a picture in `source.image`"
            yield ("inversion",), "inversion_without_image", message
        yield from repeated(self.loras)
        yield from unmet_by_reference(self.reference, self.compat, self.targets)
        if self.long_prompts == "chunks" and (self.source.image is not None or self.compat is not None):
            what = "a picture that is given" if self.source.image is not None else "the published code"
            yield ("long_prompts",), "chunks_not_here", f"{what} has no chunks: shorten the prompts, or leave it out"
        if (names := sum(1 for target in self.targets for _ in target.names())) > MAX_NAMES:
            message = f"the targets name {names} words, and at most {MAX_NAMES} are read: name fewer"
            yield ("targets",), "too_many_names", message
            return
        source = written(self.source.prompt)
        for index, target in enumerate(self.targets):
            for loc, code, message in target.unmet(source):
                yield ("targets", index, *loc), code, message
            if self.source.image is not None and target.edits is None:
                yield from _undescribed(index, source, written(target.prompt))

    def names(self) -> Iterator[tuple[Location, WordName, str]]:
        """Every word that is named: its location, its name, and the prompt that holds it."""
        for index, target in enumerate(self.targets):
            for loc, name, of_source in target.names():
                yield ("targets", index, *loc), name, self.source.prompt if of_source else target.prompt

    def _complaints_of_inversion(self) -> Iterator[Complaint]:
        sampling = self.sampling
        for loc, code, message in (self.inversion or Direct()).unmet(sampling):
            yield ("sampling", *loc), code, message
        if sampling.seeds is not None:
            message = "a picture has one run, whatever the seed: leave `seeds` out"
            yield ("sampling", "seeds"), "seeds_of_image", message
        if self.artifacts.trajectory:
            message = "the inversion of a picture is kept anyway: leave it out"
            yield ("artifacts", "trajectory"), "trajectory_of_image", message
