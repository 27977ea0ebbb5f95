"""One edited picture of a spec."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from p2p.part import Part
from p2p.spec.blend import LocalBlend
from p2p.spec.complaints import Complaint, Location, counted
from p2p.spec.edits import KINDS, Edit, edits_unmet
from p2p.spec.names import Prompt, WordName, WordWeight, WordWindow
from p2p.spec.room import Room
from p2p.spec.windows import StepWindow
from p2p.words import WrittenPrompt, same_words, written

#: What an edit that is chosen from the words keeps to the pixel, beyond what its region says.
Keep = Literal["things"]

#: The kinds of edit that move no words.
_FADERS = frozenset(name for name, kind in KINDS.items() if not kind.aligns)

_EQUAL = (
    "the edited prompt says what the source's says, so nothing would change: change a word, weigh one in `edits`, or "
    'send "edits": []'
)
_KEEP = (
    "`keep` is for what is chosen from the words, and `edits` or `local_blend` is said: leave `keep` out, and name "
    "what stays in `local_blend.source_subtract_words`"
)
_ROOM = "`room` keeps what is beside the new thing and `local_blend` says what may change: leave one of them out"
_WEIGHTS = (
    "`weights` is for what is chosen from the words, and `edits` is said: leave `weights` out, and weigh the words in "
    'an edit "reweight"'
)
#: Characters of a prompt that a complaint shows.
_SHOWN = 120


def _windows(edits: Any) -> Mapping[str, StepWindow]:
    """The windows that edits, which have not been checked yet, need in place of the defaults.

    A fader by itself acts longer: after .4 of the run a picture has forgotten where it stood. It moves no words, so
    nothing speaks against the reference's .8 (`benchmarks.quality`, reweight). No edits carry nothing over.
    """
    if not isinstance(edits, list | tuple):
        return {}
    if not edits:
        return {"cross_window": StepWindow(stop=0), "self_window": StepWindow(stop=0)}
    kinds = [edit.get("kind") if isinstance(edit, dict) else getattr(edit, "kind", None) for edit in edits]
    fades = all(isinstance(kind, str) and kind in _FADERS for kind in kinds)
    return {"cross_window": StepWindow(stop=0.8)} if fades else {}


class Target(Part):
    """One edited picture: its prompt, and how the source's attention is carried over to it."""

    prompt: Prompt
    edits: Annotated[tuple[Edit, ...], *counted(0, 8)] | None = Field(
        None,
        description="How the prompts correspond, and which words are turned up or down. Where absent, the change is "
        "read from the words, and with it every window and the local blend that is absent; the answer's `chosen` says "
        "what was chosen. Where empty, no attention is carried over: the edited prompt from the source's noise.",
    )
    weights: Annotated[tuple[WordWeight, ...], *counted(0, 32)] = Field(
        (),
        exclude_if=lambda weights: not weights,  # as `p2p.spec.blend` says of `fresh_noise`
        description="Where `edits` is left out, words of the edited prompt to be turned up or down, whatever else "
        "changes; how is chosen. 0 takes the word back: a thing goes, and a style.",
    )
    # `benchmarks.sweep`: with .4, which PIE-Bench takes too, more edits succeed and are nearer to the true edited
    # picture than with the .8 of most of the reference's demonstrations: beyond it a thing that goes leaves a ghost,
    # for its words' attention is carried over and has nowhere to go.
    cross_window: StepWindow = Field(
        StepWindow(stop=0.4), description="Where absent and words are only turned up or down, the first 0.8 of the run."
    )
    word_windows: Annotated[tuple[WordWindow, ...], *counted(0, 32)] = ()
    # The reference's, for most of its demonstrations; `benchmarks.sweep` finds nothing clearly better.
    self_window: StepWindow = StepWindow(stop=0.4)
    mass: Literal["linear", "mass_matched"] = Field(
        "linear",
        exclude_if=lambda mass: mass == "linear",  # as `p2p.spec.blend` says of `fresh_noise`
        description='Of models whose words and pictures share one attention: "linear" takes the source\'s maps as they '
        'are. "mass_matched" leaves the share that all words have together as the target has it. Other models always '
        "do the second. Which one edits better has not been measured on trained weights.",
    )
    local_blend: LocalBlend | None = None
    room: Room | None = Field(
        None,
        exclude_if=lambda room: room is None,  # as `p2p.spec.blend` says of `fresh_noise`
        description="For a thing that is added: several rows are tried, of which one becomes the picture. Chosen where "
        "`edits` is left out. It says itself what is kept, so there is no `local_blend` beside it.",
    )
    keep: Keep | None = Field(
        None,
        exclude_if=lambda keep: keep is None,  # as `p2p.spec.blend` says of `fresh_noise`
        description="Where `edits` and `local_blend` are left out and only a place changes, `things` pastes what both "
        "prompts name in front of it back from the source. It suits pictures whose light is the same in every place. "
        "Where absent, the model's default; the answer's `chosen` has it as a local blend.",
    )

    @model_validator(mode="before")
    @classmethod
    def _windows_of_edits(cls, given: Any) -> Any:
        """The windows that follow from the edits, where they are not said."""
        if not isinstance(given, dict):
            return given
        windows = _windows(given.get("edits"))
        return {**given, **{name: stop for name, stop in windows.items() if given.get(name) is None}}

    def names(self) -> Iterator[tuple[Location, WordName, bool]]:
        """Every word that it names: its location, its name, and whether the source's prompt must hold it."""
        yield from ((("weights", index), name, False) for index, name in enumerate(self.weights))
        for index, edit in enumerate(self.edits or ()):
            yield from ((("edits", index, *loc), name, False) for loc, name in edit.names())
        yield from ((("word_windows", index), name, False) for index, name in enumerate(self.word_windows))
        if self.room is not None:
            yield from ((("room", "words", index), name, False) for index, name in enumerate(self.room.words))
            yield from ((("room", "beside", index), name, True) for index, name in enumerate(self.room.beside))
        if self.local_blend is not None:
            yield from ((("local_blend", *loc), name, of) for loc, name, of in self.local_blend.names())

    def unmet(self, source: WrittenPrompt) -> Iterator[Complaint]:
        """What it needs of the source's prompt and of its own, and they do not have."""
        own = written(self.prompt)
        if self.keep and (self.edits is not None or self.local_blend is not None):
            yield ("keep",), "keep_with_settings", _KEEP
        if self.room is not None and self.local_blend is not None:
            yield ("room",), "room_with_blend", _ROOM
        if self.weights and self.edits is not None:
            yield ("weights",), "weights_with_edits", _WEIGHTS
        if self.edits is None:
            if not self.weights and same_words(source, own):
                yield ("prompt",), "prompts_equal", _EQUAL
        else:
            for loc, code, message in edits_unmet(self.edits, source, own):
                yield ("edits", *loc), code, message
            if not self.edits:
                yield from self._carried()
        for loc, name, of_source in self.names():
            for field, code, message in _not_found(name, source if of_source else own):
                yield (*loc, *field), code, message

    def _carried(self) -> Iterator[Complaint]:
        """What a target without edits asks to have carried over between words."""
        message = "without edits no word takes another's attention: leave it out, or say how the prompts correspond"
        if self.cross_window.stop > self.cross_window.start:
            yield ("cross_window",), "window_without_edits", message
        if self.word_windows:
            yield ("word_windows",), "window_without_edits", message


def _not_found(name: WordName, prompt: WrittenPrompt) -> Iterator[Complaint]:
    if prompt.holds(name.word, name.occurrence):
        return
    if times := prompt.count(name.word):
        message = f"{name.word!r} occurs {times} times in {_shown(prompt)}: there is no occurrence {name.occurrence}"
        yield ("occurrence",), "word_not_found", message
    elif longer := prompt.holder(name.word):
        message = f"{name.word!r} is only a part of {longer!r} in {_shown(prompt)}: name the whole word"
        yield ("word",), "word_not_found", message
    else:
        message = f"{name.word!r} is not in {_shown(prompt)}: name a word as it is written there"
        yield ("word",), "word_not_found", message


def _shown(prompt: WrittenPrompt) -> str:
    text = prompt.prompt
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")
