"""What may be asked for: one frozen value that is the library's argument, the HTTP body's core and the job's record.

Imports nothing heavy: the service validates requests with it on machines without torch. A spec checks itself when
it is made; each complaint's `type` is a stable code and its `loc` points at the field.

Words are named as they are written (`p2p.words`), and by `occurrence` where a prompt repeats them; never by token.
A spec is checked without the model's tokenizer: `p2p.tokens` says where a name cuts a token in two.
Steps are named by shares of the run (0 is pure noise, 1 the finished picture) or counted.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, ValidationInfo, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import InitErrorDetails, PydanticCustomError, PydanticKnownError

from p2p.part import Part as Part
from p2p.words import WrittenPrompt, count_words, same_words, written

#: Far above any model's token limit, which is checked against the model's own tokenizer.
MAX_PROMPT_CHARACTERS = 2_000
#: torch's generator on the CPU, which draws the noise, takes the lower 32 bits of a seed (a Mersenne twister's): 2**32
#: would be seed 0 again.
MAX_SEED = 2**32 - 1
#: In place of a seed: one is to be drawn (`p2p.seeds`).
DRAW = -1
#: An equalizer beyond this blows latents up to noise; the paper's demonstrations go to 10.
MAX_WEIGHT = 50.0

#: Complaints of one spec: a body of nothing but wrong names is not worked off to its end.
MAX_COMPLAINTS = 64

#: What a picture will be is settled early: four looks at it, a fifth of the run apart, tell all there is to tell.
MAX_PREVIEWS = 4

ReadBy = Literal["alpha", "colour"]

#: By the names of diffusers' classes: DDIMScheduler, DDPMScheduler, ...
SchedulerName = Literal["ddim", "ddpm", "dpm_solver_multistep", "euler", "euler_ancestral", "lcm", "pndm"]


def _within_generator(seed: int, info: ValidationInfo) -> int:
    # Recorded edits may have larger ones, of which the lower 32 bits made their pictures.
    if seed > MAX_SEED and info.context != RECORDED:
        raise PydanticKnownError("less_than_equal", {"le": MAX_SEED})
    return seed


Seed = Annotated[int, Field(ge=DRAW, json_schema_extra={"maximum": MAX_SEED}), AfterValidator(_within_generator)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Bound = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PROMPT_CHARACTERS)]


def counted(least: int, most: int) -> tuple[AfterValidator, FieldInfo]:
    """How many items a tuple has: an annotation that complains of the count only where every item is right."""

    # pydantic's own min_length counts the valid items only, and would add "too short" to any item's complaint.
    def check(items: tuple) -> tuple:
        if len(items) < least:
            raise PydanticKnownError(
                "too_short", {"field_type": "Tuple", "min_length": least, "actual_length": len(items)}
            )
        if len(items) > most:
            raise PydanticKnownError(
                "too_long", {"field_type": "Tuple", "max_length": most, "actual_length": len(items)}
            )
        return items

    return AfterValidator(check), Field(json_schema_extra={"minItems": least, "maxItems": most})


#: Context of a validation that reads what was accepted before: rules that came later refuse no record.
RECORDED = {"recorded": True}

Location = tuple[int | str, ...]
Complaint = tuple[Location, str, str]


def _invalid(complaints: Sequence[Complaint]) -> ValidationError:
    """Complaints as pydantic's own error, which keeps each one's location below that of the part that raises it."""
    return ValidationError.from_exception_data(
        "EditSpec",
        [
            InitErrorDetails(type=PydanticCustomError(code, message), loc=loc, input=None)
            for loc, code, message in complaints
        ],
    )


class StepWindow(Part):
    """The part of the run in which something acts, half open: shares of the run, or numbers of steps."""

    start: Bound = 0.0
    stop: Bound = 1.0
    # Shares are coarse in few-step runs: 0.4 of 4 steps is either one step or two.
    unit: Literal["share", "steps"] = Field("share", description='"steps" counts steps from the noisiest, which is 0.')

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for field in ("start", "stop"):
            value = getattr(self, field)
            if self.unit == "share" and value > 1:
                message = f'{value:g} is beyond 1, the end of the run: shorten it, or count in "unit": "steps"'
                raise _invalid([((field,), "window_outside_run", message)])
            if self.unit == "steps" and value != int(value):
                raise _invalid([((field,), "window_not_whole", f"{value:g} is no whole number of steps: round it")])
        if self.stop < self.start:
            message = f"the window stops at {self.stop:g}, before its start {self.start:g}: swap them"
            raise _invalid([((), "window_reversed", message)])
        return self


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


class Replace(Part):
    """Words swapped one for one; both prompts have the same number of words (Hertz et al. 2022, section 3.2)."""

    kind: Literal["replace"] = "replace"


class Refine(Part):
    """Words added, removed or changed; what both prompts share keeps its place (Hertz et al. 2022, section 3.2)."""

    kind: Literal["refine"] = "refine"


class Reweight(Part):
    """Words of the edited prompt turned up or down (Hertz et al. 2022, section 3.2, "fader control").

    By itself it takes prompts that say the same words. They may differ in punctuation, quotes, case and spaces: what
    both share is aligned by tokens, as "refine" does.
    """

    kind: Literal["reweight"] = "reweight"
    weights: Annotated[tuple[WordWeight, ...], *counted(1, 32)]


Edit = Annotated[Replace | Refine | Reweight, Field(discriminator="kind")]
Names = Annotated[tuple[WordName, ...], *counted(0, 32)]


class Box(Part):
    """A part of the picture, in shares of its width from the left and of its height from the top."""

    left: Share
    top: Share
    right: Share
    bottom: Share

    @model_validator(mode="after")
    def _has_a_size(self) -> Self:
        for start, stop in (("left", "right"), ("top", "bottom")):
            low, high = getattr(self, start), getattr(self, stop)
            if high <= low:
                message = f"{stop} is {high:g} and {start} is {low:g}: the box needs a size, so {stop} must be more"
                raise _invalid([((stop,), "box_empty", message)])
        return self


UploadId = Annotated[str, StringConstraints(pattern=r"^img_[0-9a-f]{32}$")]
#: A data: URL holds the picture itself, so nothing but the request's own limit bounds its length; of others the service
#: takes 2,048 characters.
PictureUrl = Annotated[str, StringConstraints(min_length=1)]


def _named_once(upload: str | None, url: str | None) -> None:
    """Raises pydantic's error where a picture is named twice or not at all."""
    if upload is not None and url is not None:
        raise _invalid([(("url",), "image_named_twice", "both an upload and a URL are named: keep one of them")])
    if upload is None and url is None:
        message = "no picture is named: send one with POST /v1/images, and give its id here"
        raise _invalid([(("upload",), "image_not_named", message)])


class MaskImage(Part):
    """A picture that says where another one may change: where this one is painted.

    An alpha channel with clear and painted pixels says it, whatever the colours are. Otherwise a pixel is painted where
    the strongest of its red, green and blue is in the lighter half: white and every full colour may change, black must
    not. A mask that is all painted or not painted at all is refused (`mask_uniform`).
    """

    upload: UploadId | None = Field(
        None,
        description="The id that `POST /v1/images` gave; or `url`. The mask has the shape of the picture that is "
        "edited, at any resolution, and is fitted as that one is.",
    )
    url: PictureUrl | None = Field(
        None,
        description="Where the mask lies, as http(s):// or data: URL, if the installation takes URLs; fetched when the "
        "edit is posted.",
    )
    read_by: ReadBy | None = Field(
        None,
        description='By what it is read: its "alpha" channel, or its "colour" as it is laid on white. Where absent, by '
        "the rule above; the answer says which.",
    )

    @property
    def name(self) -> str:
        """What it is called among a job's masks: read in another way, the same picture is another mask."""
        return f"{self.upload or self.url}{'' if self.read_by is None else f':{self.read_by}'}"

    @model_validator(mode="after")
    def _one(self) -> Self:
        _named_once(self.upload, self.url)
        return self


class LocalBlend(Part):
    """Keeps everything outside a region as it is in the source.

    The region is where the source's or the target's map of the named words is above `threshold` of its maximum, as far
    as it lies within the box and the mask; without words, it is what lies within them.
    """

    words: Names = Field(
        (),
        description="Words of the edited prompt whose region may change; none where `source_words` names what goes.",
    )
    source_words: Names | None = Field(
        None,
        description="Words of the source prompt whose region may change; where absent, those that `words` stand for.",
    )
    subtract_words: Names = Field((), description="Words of the edited prompt whose region must not change.")
    source_subtract_words: Names = Field((), description="Words of the source prompt whose region must not change.")
    box: Box | None = Field(None, description="Outside it nothing changes.")
    mask: MaskImage | None = Field(None, description="Where it is not painted nothing changes.")
    # The null-text reference's defaults: before a fifth of the run the maps say little about the final place.
    # `benchmarks.sweep`: the start hardly matters; a lower threshold keeps less and succeeds no more often.
    start: Share = 0.2
    threshold: Share = 0.3
    subtract_threshold: Share = 0.3

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.words and not self.source_words and self.box is None and self.mask is None:
            message = (
                "nothing says where the picture may change: name `words`, or `source_words`, "
                "or give a `box` or a `mask`"
            )
            raise _invalid([(("words",), "blend_without_words", message)])
        return self


def _only_fades(edits: Any) -> bool:
    """Whether edits that have not been checked yet turn words up and down, and do nothing else."""
    if not isinstance(edits, list | tuple):
        return False
    kinds = [edit.get("kind") if isinstance(edit, dict) else getattr(edit, "kind", None) for edit in edits]
    return all(kind == "reweight" for kind in kinds)


class Target(Part):
    """One edited picture: its prompt, and how the source's attention is carried over to it."""

    prompt: Prompt
    edits: Annotated[tuple[Edit, ...], *counted(1, 8)]
    # `benchmarks.sweep`: with .4, which PIE-Bench takes too, more edits succeed and are nearer to the true edited
    # picture than with the .8 of most of the reference's demonstrations: beyond it a thing that goes leaves a ghost,
    # for its words' attention is carried over and has nowhere to go.
    cross_window: StepWindow = Field(
        StepWindow(stop=0.4), description="Where absent and words are only turned up or down, the first 0.8 of the run."
    )
    word_windows: Annotated[tuple[WordWindow, ...], *counted(0, 32)] = ()
    # The reference's, for most of its demonstrations; `benchmarks.sweep` finds nothing clearly better.
    self_window: StepWindow = StepWindow(stop=0.4)
    local_blend: LocalBlend | None = None

    @model_validator(mode="before")
    @classmethod
    def _fader(cls, given: Any) -> Any:
        """A fader by itself acts longer: after .4 of the run a picture has forgotten where it stood.

        It moves no words, so nothing speaks against the reference's .8 (`benchmarks.quality`, reweight).
        """
        if isinstance(given, dict) and given.get("cross_window") is None and _only_fades(given.get("edits")):
            return {**given, "cross_window": StepWindow(stop=0.8)}
        return given


class SourceImage(Part):
    """A picture that was not generated, to be edited."""

    upload: UploadId | None = Field(None, description="The id that `POST /v1/images` gave; or `url`.")
    url: PictureUrl | None = Field(
        None,
        description="Where the picture lies, as http(s):// or data: URL, if the installation takes URLs; fetched when "
        "the edit is posted.",
    )
    # Cover: the model is given a picture like those it was trained on, without margins, which it would take for a part
    # of the picture; and what is cut off is the one part that comes back untouched.
    fit: Literal["cover", "contain"] = Field(
        "cover",
        description='How it is brought to the model\'s size: "cover" edits the largest part in its middle of the '
        'model\'s shape, and what is outside stays as it is; "contain" edits all of it, within margins of grey. '
        "The edited pictures come back at the picture's own size.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        _named_once(self.upload, self.url)
        return self


#: By their names in `p2p.inversion.INVERSIONS`.
InversionMethod = Literal["direct", "ddim", "null_text", "negative_prompt", "edit_friendly"]


class Inversion(Part):
    """How a picture's run is found, without which it cannot be edited (docs/inversion.md)."""

    # `benchmarks.inversion`: it gives back what the picture was and edits well at any guidance scale, by one inversion
    # for all of them (docs/inversion.md).
    method: InversionMethod = "direct"
    inner_steps: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description="Of null_text: iterations for each step at most; 10 where absent."
    )
    tolerance: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = Field(
        None, description="Of null_text: the error at which a step is good enough; 1e-5 where absent."
    )

    @property
    def settings(self) -> dict[str, float]:
        """The method's own, where they are said."""
        said = {name: getattr(self, name) for name in ("inner_steps", "tolerance")}
        return {name: value for name, value in said.items() if value is not None}

    @model_validator(mode="after")
    def _own(self) -> Self:
        if self.method != "null_text" and self.settings:
            message = f"{self.method} has no such setting: leave it out, or ask for null_text"
            raise _invalid([((name,), "setting_of_another_inversion", message) for name in self.settings])
        return self


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
            raise _invalid([(("prompt",), "picture_without_prompt", message)])
        return given


def _text(value: object) -> bool:
    """Whether a prompt says anything; what is no text at all is complained of elsewhere."""
    return value is not None and (not isinstance(value, str) or bool(value.strip()))


class Sampling(Part):
    """How the pictures are made; what is absent takes the model's own default (`GET /v1/models`)."""

    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    scheduler: SchedulerName | None = Field(
        None,
        description="The model's own where absent, and for a picture that is given ddim, whatever the model's own is; "
        "the manifest names it.",
    )
    guidance_scale: Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)] | None = None
    # The service draws where an edit is accepted. The library draws nothing by itself: what it is called with decides
    # what it makes, and a kept source is found again.
    seed: Seed | None = Field(
        None,
        description="Which noise everything is made from: the same seed gives the same pictures. Where absent or -1, "
        "one below 4294967296 is drawn when the edit is accepted, and every answer says which.",
    )
    seeds: Annotated[tuple[Seed, ...], *counted(1, 64)] | None = Field(
        None,
        description="Several in place of `seed`: everything is made once for each. Each -1 among them is drawn. "
        "Targets times seeds are at most the model's `max_targets`.",
    )
    negative_prompt: Annotated[str, StringConstraints(max_length=MAX_PROMPT_CHARACTERS)] = ""
    height: Annotated[int, Field(ge=8, le=8192)] | None = None
    width: Annotated[int, Field(ge=8, le=8192)] | None = None

    @model_validator(mode="after")
    def _seeded_once(self) -> Self:
        if self.seeds is None:
            return self
        if self.seed:
            raise _invalid([(("seed",), "seeds_conflict", "`seed` and `seeds` are both given: keep one of them")])
        for index, seed in enumerate(self.seeds):
            if seed != DRAW and seed in self.seeds[:index]:
                raise _invalid([(("seeds", index), "seed_repeated", f"{seed} is there already: take it out")])
        return self


PictureFormat = Literal["png", "jpeg", "webp"]


class Artifacts(Part):
    """What is stored, and how; pictures and the manifest always are."""

    format: PictureFormat = Field(
        "png",
        description="Of the pictures. png loses nothing; jpeg is of quality 95 with colour at full resolution, webp of "
        "quality 90. Heat maps are always PNG.",
    )
    heatmaps: bool = Field(True, description="One PNG per word and picture: where the word acted.")
    raw_maps: bool = Field(True, description="The averaged maps as one .npz, float32.")
    trajectory: bool = Field(
        False,
        description="The source's run. As long as this job is kept, edits of the same source by the same model and "
        "sampling take it up, and take less time.",
    )
    # None by default: each is decoded, judged by the moderation hook and stored, and whoever waits for a webhook or
    # polls never sees one.
    previews: Annotated[int, Field(ge=0, le=MAX_PREVIEWS)] = Field(
        0,
        description="How many times, evenly over the run, its events tell of a small picture of how it stands: all "
        "pictures side by side, the source first, as one JPEG, each at most 256 pixels wide and high.",
    )

    @property
    def any_maps(self) -> bool:
        """Whether word maps are among the results in any form."""
        return self.heatmaps or self.raw_maps


class EditSpec(Part):
    """A source picture and the edits of it, made in one run from one noise."""

    model: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] = "scenes"
    source: Source
    inversion: Inversion | None = Field(None, description="Of a source that is given; `direct` where absent.")
    targets: Annotated[tuple[Target, ...], *counted(0, 64)] = Field(
        description="The edited pictures; of a source that is given there may be none, which inverts it ahead."
    )
    sampling: Sampling = Sampling()
    artifacts: Artifacts = Artifacts()
    compat: Literal["reference"] | None = Field(
        None, description='"reference" reproduces the published code, its quirks included; for comparisons.'
    )

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        if info.context != RECORDED and (complaints := list(islice(self._complaints(), MAX_COMPLAINTS))):
            raise _invalid(complaints)
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
        if self.source.image is None:
            if not self.targets:
                yield ("targets",), "too_few", "needs at least 1: add one"
            if self.inversion is not None:
                message = "nothing is inverted where the source is generated: name a picture in `source.image`"
                yield ("inversion",), "inversion_without_image", message
        else:
            yield from self._complaints_of_inversion()
        source = written(self.source.prompt)
        for index, target in enumerate(self.targets):
            for loc, code, message in _target_complaints(source, target):
                yield ("targets", index, *loc), code, message

    def names(self) -> Iterator[tuple[Location, WordName, str]]:
        """Every word that is named: its location, its name, and the prompt that holds it."""
        for index, target in enumerate(self.targets):
            for loc, name, of_source in _named(target):
                yield ("targets", index, *loc), name, self.source.prompt if of_source else target.prompt

    def _complaints_of_inversion(self) -> Iterator[Complaint]:
        sampling, method = self.sampling, (self.inversion or Inversion()).method
        if sampling.scheduler not in (None, "ddim"):
            message = f'{sampling.scheduler} has no way back from a picture to its noise: ask for "ddim"'
            yield ("sampling", "scheduler"), "unsupported_inversion", message
        if method == "negative_prompt" and sampling.negative_prompt:
            message = "negative_prompt inversion takes the negative prompt's place: leave it out, or invert otherwise"
            yield ("sampling", "negative_prompt"), "unsupported_inversion", message
        if method == "null_text" and sampling.guidance_scale is not None and sampling.guidance_scale <= 1:
            message = f"null_text needs guidance, and its scale is {sampling.guidance_scale:g}: ask for more than 1"
            yield ("sampling", "guidance_scale"), "unsupported_inversion", message
        if sampling.seeds is not None:
            message = "a picture has one run, whatever the seed: leave `seeds` out"
            yield ("sampling", "seeds"), "seeds_of_image", message
        if self.artifacts.trajectory:
            message = "the inversion of a picture is kept anyway: leave it out"
            yield ("artifacts", "trajectory"), "trajectory_of_image", message


def _target_complaints(source: WrittenPrompt, target: Target) -> Iterator[Complaint]:
    own = written(target.prompt)
    kinds = [edit.kind for edit in target.edits]
    aligning = [kind for kind in kinds if kind != "reweight"]
    if len(aligning) > 1:
        message = f"{' and '.join(aligning)} both say how the prompts correspond: keep one of them"
        yield ("edits",), "edits_conflict", message
    elif aligning == ["replace"] and (before := count_words(source.prompt)) != (after := count_words(target.prompt)):
        message = f'the prompts have {before} and {after} words, and "replace" needs as many: use "refine" instead'
        yield ("edits", kinds.index("replace")), "word_counts_differ", message
    elif not aligning and not same_words(source, own):
        message = 'the prompts differ and nothing says how they correspond: add "replace" or "refine" before "reweight"'
        yield ("edits",), "prompts_differ", message
    for loc, name, of_source in _named(target):
        prompt = source if of_source else own
        if prompt.holds(name.word, name.occurrence):
            continue
        if times := prompt.count(name.word):
            message = (
                f"{name.word!r} occurs {times} times in {prompt.prompt!r}: there is no occurrence {name.occurrence}"
            )
            yield (*loc, "occurrence"), "word_not_found", message
        elif longer := prompt.holder(name.word):
            message = f"{name.word!r} is only a part of {longer!r} in {prompt.prompt!r}: name the whole word"
            yield (*loc, "word"), "word_not_found", message
        else:
            message = f"{name.word!r} is not in {prompt.prompt!r}: name a word as it is written there"
            yield (*loc, "word"), "word_not_found", message


def _named(target: Target) -> Iterator[tuple[Location, WordName, bool]]:
    """Every word that a target names: its location, its name, and whether the source's prompt must hold it."""
    for index, edit in enumerate(target.edits):
        if isinstance(edit, Reweight):
            yield from ((("edits", index, "weights", i), name, False) for i, name in enumerate(edit.weights))
    yield from ((("word_windows", i), name, False) for i, name in enumerate(target.word_windows))
    if blend := target.local_blend:
        for field, of_source in (
            ("words", False),
            ("source_words", True),
            ("subtract_words", False),
            ("source_subtract_words", True),
        ):
            names = getattr(blend, field) or ()
            yield from ((("local_blend", field, i), name, of_source) for i, name in enumerate(names))
