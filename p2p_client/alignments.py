"""How the service reads prompts, typed: the answers of `POST /v1/alignments`."""

from p2p_client.results import Choice, Result


class Token(Result):
    """A token of a word, and the characters that it stands for."""

    position: int
    text: str


class Word(Result):
    """A word of a prompt, named as edits name it; `start` and `stop` are characters of the prompt, half open.

    `occurrences` says how often the prompt holds the name: if once, the word names it alone.
    """

    word: str
    occurrence: int
    occurrences: int = 1
    start: int
    stop: int
    tokens: tuple[Token, ...]


class AlignedWord(Word):
    """A word of an edited prompt: "kept", "changed" or "added"; `sources` are indices of the source's words."""

    state: str
    sources: tuple[int, ...]


class Name(Result):
    """What a name means in a prompt: the indices of its words; `problem` says why it cannot be named, if so."""

    word: str
    occurrence: int | None
    words: tuple[int, ...]
    exact: bool
    tokens: tuple[Token, ...]
    problem: str | None


class Prompt(Result):
    """A prompt in words."""

    prompt: str
    tokens: int
    words: tuple[Word, ...]
    names: tuple[Name, ...] = ()


class PromptChange(Result):
    """One thing that an edited prompt changes; all are indices of words, `source_words` of the source's."""

    kind: str  # "thing", "attribute", "place", "style", "add", "remove", and what comes
    source_words: tuple[int, ...]
    words: tuple[int, ...]
    about: tuple[int, ...]


class AlignedPrompt(Result):
    """An edited prompt in words; `removed` are indices of source words that nothing takes its map from.

    `chosen` is what an edit of the prompt alone is run with; None if both prompts say the same.
    """

    prompt: str
    tokens: int
    kind: str | None
    words: tuple[AlignedWord, ...]
    names: tuple[Name, ...] = ()
    removed: tuple[int, ...]
    change: tuple[PromptChange, ...] = ()
    chosen: Choice | None = None


class Alignment(Result):
    """How the words of edited prompts correspond to those of their source."""

    model: str
    max_tokens: int
    source: Prompt
    targets: tuple[AlignedPrompt, ...]
