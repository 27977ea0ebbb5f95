"""Words of a prompt as a user names them: as they are written (`p2p.words`), never by token."""

from typing import Annotated

from pydantic import Field, StringConstraints

from p2p.part import Part
from p2p.spec.complaints import counted
from p2p.spec.windows import StepWindow

#: Far above any model's token limit, which is checked against the model's own tokenizer.
MAX_PROMPT_CHARACTERS = 2_000
#: An equalizer beyond this blows latents up to noise; the paper's demonstrations go to 10.
MAX_WEIGHT = 50.0

#: A model's id in the models file.
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
#: What a request that names no model gets, as the description of the API says it.
MODEL_FIELD = "An id of GET /v1/models; where absent, the first one there."
Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PROMPT_CHARACTERS)]


class WordName(Part):
    """A word of a prompt, or several in a row; every occurrence unless one is chosen.

    Case, the punctuation around a word, and the way an accent or an apostrophe is typed do not matter. A name is also
    found inside a written word, where a word begins and ends: "cat" in `cat,dog`.
    """

    word: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
    occurrence: Annotated[int, Field(ge=1)] | None = Field(None, description="Counted from 1; all where absent.")


class WordWeight(WordName):
    """How strongly a word acts: 1 leaves it, above 1 strengthens it, below 0 pushes against it.

    0 takes the word's own attention away. What it names is usually still there: the other words and the source's
    layout show it too. To remove a thing, use "refine" without its word, and name it in `local_blend.source_words`.
    """

    weight: Annotated[float, Field(ge=-MAX_WEIGHT, le=MAX_WEIGHT, allow_inf_nan=False)]


class WordWindow(WordName):
    """A window of a word's own, in place of the target's cross window."""

    window: StepWindow


Names = Annotated[tuple[WordName, ...], *counted(0, 32)]
