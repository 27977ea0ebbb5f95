"""The kinds of edit: what each says, whether it aligns the prompts, and what it needs of them.

A new kind is a class here, its place in `Edit`, and a row of `p2p.edits.EDITS`. One that aligns the prompts is also in
`AligningKind`, has a row of `p2p.correspondence.CORRESPONDENCES`, and needs no settings.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from p2p.part import Part
from p2p.spec.complaints import Complaint, Location, counted
from p2p.spec.names import Names, WordName, WordWeight
from p2p.words import WrittenPrompt, count_words, same_words

#: How a word is turned up or down: a row each of `p2p.edits` and of `p2p.change.beside`.
WeighedBy = Literal["attention", "guidance"]


class _Kind(Part):
    """What every kind of edit has.

    Attributes:
        aligns: whether it says how the tokens of the two prompts correspond. A target has at most one that does.
    """

    aligns: ClassVar[bool] = True

    def names(self) -> Iterator[tuple[Location, WordName]]:
        """The words of the edited prompt that it names, each with its location in it."""
        yield from ()

    def unmet(self, source: WrittenPrompt, target: WrittenPrompt) -> Iterator[Complaint]:
        """What it needs of the two prompts, and they do not have."""
        yield from ()


class Replace(_Kind):
    """Words swapped one for one; both prompts have the same number of words (Hertz et al. 2022, section 3.2)."""

    kind: Literal["replace"] = "replace"

    def unmet(self, source: WrittenPrompt, target: WrittenPrompt) -> Iterator[Complaint]:
        """As many words in both prompts."""
        before, after = count_words(source.prompt), count_words(target.prompt)
        if before != after:
            message = f'the prompts have {before} and {after} words, and "replace" needs as many: use "refine" instead'
            yield (), "word_counts_differ", message


class Refine(_Kind):
    """Words added, removed or changed; what both prompts share keeps its place (Hertz et al. 2022, section 3.2)."""

    kind: Literal["refine"] = "refine"
    filled_by: Names | None = Field(
        None,
        exclude_if=lambda names: names is None,  # as `p2p.spec.blend` says of `fresh_noise`
        description="What takes the attention of words that go, so that nothing else fills their place: one half goes "
        "to these words of the edited prompt, the other to the end of the prompt, which gets all if none is named. "
        "Where absent it is left out, as published.",
    )

    def names(self) -> Iterator[tuple[Location, WordName]]:
        """The words that fill a place."""
        yield from ((("filled_by", index), name) for index, name in enumerate(self.filled_by or ()))


class Reweight(_Kind):
    """Words of the edited prompt turned up or down (Hertz et al. 2022, section 3.2, "fader control").

    By itself it takes prompts that say the same words. They may differ in punctuation, quotes, case and spaces: what
    both share is aligned by tokens, as "refine" does.
    """

    aligns: ClassVar[bool] = False
    kind: Literal["reweight"] = "reweight"
    weights: Annotated[tuple[WordWeight, ...], *counted(1, 32)]
    by: WeighedBy = Field(
        "attention",
        exclude_if=lambda by: by == "attention",  # as `p2p.spec.blend` says of `fresh_noise`
        description='"attention" multiplies the words\' own attention, as published. "guidance" draws the prompt '
        "without the word beside it, and goes that far from there towards the prompt with it: at 0 the word is not "
        "said at all. It takes a row more for each word. Chosen for an automatic edit's weights.",
    )

    def names(self) -> Iterator[tuple[Location, WordName]]:
        """The words that it weighs."""
        yield from ((("weights", index), name) for index, name in enumerate(self.weights))


Edit = Annotated[Replace | Refine | Reweight, Field(discriminator="kind")]
#: Every kind by its name.
KINDS: Mapping[str, type[Edit]] = {kind.model_fields["kind"].default: kind for kind in get_args(get_args(Edit)[0])}
#: The kinds that say how two prompts correspond; a test holds them to `KINDS`, and `p2p.correspondence` to these.
AligningKind = Literal["replace", "refine"]


def aligning_edit(kind: AligningKind) -> Edit:
    """The edit of a kind that aligns prompts."""
    return KINDS[kind].model_validate({"kind": kind})


def any_of(kinds: Iterable[str]) -> str:
    """Kinds as a message names them: "replace", "refine" or "reweight"."""
    *most, last = (f'"{kind}"' for kind in kinds)
    return f"{', '.join(most)} or {last}" if most else last


def edits_unmet(edits: Sequence[Edit], source: WrittenPrompt, target: WrittenPrompt) -> Iterator[Complaint]:
    """What the edits of one target need of its prompts and of each other, and do not have."""
    aligning = [edit for edit in edits if edit.aligns]
    if len(aligning) > 1:
        kinds = " and ".join(edit.kind for edit in aligning)
        yield (), "edits_conflict", f"{kinds} both say how the prompts correspond: keep one of them"
    elif edits and not aligning and not same_words(source, target):
        given = any_of(dict.fromkeys(edit.kind for edit in edits))
        message = (
            f"the prompts differ and {given} does not say how they correspond: add {any_of(get_args(AligningKind))}"
        )
        yield (), "prompts_differ", message
    else:
        for index, edit in enumerate(edits):
            yield from (((index, *loc), code, message) for loc, code, message in edit.unmet(source, target))
