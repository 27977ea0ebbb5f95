"""Everything this package raises on purpose:

    P2PError
    ├── PromptTooLong        the prompt has more tokens than the model reads
    ├── WordWithinToken      a name begins or ends where no token does
    ├── UnsupportedModel     the model cannot be controlled, and what about it cannot
    ├── UnsupportedSize      the model cannot draw this size
    ├── UnsupportedSampling  the scheduler cannot make so many steps
    ├── UnsupportedPicture   a picture that is no input of the model as it is
    ├── UnsupportedMask      a blend's mask was not given, or is of another size
    ├── UnsupportedInversion no such inversion, or not on this scheduler or with this guidance
    ├── SeveralSeeds         a spec of several seeds where one run is made
    ├── MixedBatch           specs that cannot share a run were given as one batch
    └── WrongTrajectory      a kept source is not the one that a spec edits

What is wrong with a request by itself (an unknown word, unequal word counts, a window outside 0..1) is a pydantic
`ValidationError` of `p2p.spec`, whose `type` is the stable code and whose `loc` points at the field.
"""

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


class SeveralSeeds(P2PError):
    """A spec of several seeds was given to what runs one."""

    code = "several_seeds"

    def __init__(self, seeds: tuple[int, ...]) -> None:
        super().__init__(f"the spec has {len(seeds)} seeds and this runs one: `edit_steps` runs them all")


class MixedBatch(P2PError):
    """Specs of different numbers of steps, schedulers or sizes were given as one batch."""

    code = "mixed_batch"


class WrongTrajectory(P2PError):
    """A kept source is not the one that a spec edits."""

    code = "wrong_trajectory"
