"""Everything this package raises on purpose:

    P2PError
    ├── PromptTooLong        the prompt has more tokens than the model reads
    ├── WordWithinToken      a name begins or ends where no token does
    ├── UnknownLora          a LoRA that this model does not offer
    ├── UnsupportedModel     the model cannot be controlled, and what about it cannot
    ├── UnsupportedSize      the model cannot draw this size
    ├── UnsupportedSampling  the scheduler cannot make so many steps
    ├── UnsupportedPicture   a picture that is no input of the model as it is
    ├── UnsupportedMask      a blend's mask was not given, or is of another size
    ├── UnsupportedInversion no such inversion, or not on this scheduler or with this guidance
    ├── NotFinite            the model computed values that are no numbers
    ├── SeveralSeeds         a spec of several seeds where one run is made
    ├── SeedNotDrawn         a spec that asks for a seed to be drawn, where none is
    ├── MixedBatch           specs that cannot share a run were given as one batch
    └── WrongTrajectory      a kept source is not the one that a spec edits

What is wrong with a request by itself (an unknown word, unequal word counts, a window outside 0..1) is a pydantic
`ValidationError` of `p2p.spec`, whose `type` is the stable code and whose `loc` points at the field.
"""

from collections.abc import Iterable
from typing import ClassVar


class P2PError(Exception):
    """Something asked of the sampler that it cannot do; `code` is stable, the message says what to do."""

    code: ClassVar[str] = "p2p_error"


class PromptTooLong(P2PError):
    """A prompt has more tokens than the model's text encoder reads."""

    code = "prompt_too_long"

    def __init__(self, prompt: str, tokens: int, limit: int) -> None:
        super().__init__(f"the prompt takes {tokens} tokens and the model reads {limit}: shorten {prompt!r}")
        self.prompt, self.tokens, self.limit = prompt, tokens, limit


class WordWithinToken(P2PError):
    """A word begins or ends where no token of the model does, so it has no attention of its own."""

    code = "word_within_token"

    def __init__(self, name: str, tokens: tuple[str, ...]) -> None:
        cut = "|".join(tokens)
        super().__init__(
            f"{name!r} begins or ends inside a token, and the model reads {cut!r}: name what stands between the bars, "
            "or several in a row"
            if tokens
            else f"no token stands for {name!r}, so it cannot be named: name another word"
        )
        self.name, self.tokens = name, tokens


class UnknownLora(P2PError):
    """A LoRA is asked for that the model does not offer."""

    code = "unknown_lora"

    def __init__(self, lora: str, offered: Iterable[str]) -> None:
        known = ", ".join(offered)
        do = f"choose one of {known}" if known else "leave it out"
        super().__init__(f"this model has no LoRA {lora!r}: {do}")
        self.lora = lora


class UnsupportedModel(P2PError):
    """The model has a part that attention control does not know."""

    code = "unsupported_model"


class UnsupportedSize(P2PError):
    """The model cannot draw pictures of this size."""

    code = "unsupported_size"


class UnsupportedSampling(P2PError):
    """The scheduler cannot make so many steps of this model."""

    code = "unsupported_sampling"


class UnsupportedPicture(P2PError):
    """A picture, or the latents given in its place, cannot be the model's input as it is."""

    code = "unsupported_picture"


class UnsupportedMask(P2PError):
    """The mask that a blend names was not given, or is not of the size that is drawn."""

    code = "unsupported_mask"


class UnsupportedInversion(P2PError):
    """There is no such inversion, or it cannot be done on this scheduler or with this guidance."""

    code = "unsupported_inversion"


class NotFinite(P2PError):
    """The model computed NaN or infinity, of which no picture can be made: lower guidance_scale or change the seed."""

    code = "not_finite"

    def __init__(self, what: str, dtype: str) -> None:
        dtype = dtype.removeprefix("torch.")
        if dtype == "float32":
            do = "if every edit of this model ends so, its weights are damaged and must be fetched again"
        else:
            do = "if every edit of this model ends so, its workers need DTYPE=float32"
        super().__init__(
            f"{what} are not finite in {dtype} (NaN or infinity), so there is no picture: "
            f"lower guidance_scale or change the seed; {do}"
        )
        self.what, self.dtype = what, dtype


class SeveralSeeds(P2PError):
    """A spec of several seeds was given to what runs one."""

    code = "several_seeds"

    def __init__(self, seeds: tuple[int, ...]) -> None:
        super().__init__(f"the spec has {len(seeds)} seeds and this runs one: `edit_steps` runs them all")


class SeedNotDrawn(P2PError):
    """A spec asks for a seed to be drawn, and was given to what only runs it."""

    code = "seed_not_drawn"

    def __init__(self) -> None:
        super().__init__("the seed is -1, which asks for one to be drawn: give the spec to `p2p.seeds.drawn` first")


class MixedBatch(P2PError):
    """Specs that cannot share a forward pass were given as one batch: their `p2p.cohort.key.BatchKey` differs."""

    code = "mixed_batch"


class WrongTrajectory(P2PError):
    """A kept source is not the one that a spec edits."""

    code = "wrong_trajectory"
