"""Opens a model's tokenizer: by the files that are there, wherever a declaration says or leaves out that they are."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tokenizers import Tokenizer, normalizers

from jobs.catalogue import ModelDeclaration
from jobs.errors import InvalidCatalogue
from p2p.errors import UnsupportedModel
from p2p.layouts import LAYOUTS
from p2p.layouts.base import Layout
from p2p.layouts.embeddings import troubles, vectors
from p2p.layouts.files import misplaced, parts_of
from p2p.layouts.hub import fetched
from p2p.layouts.model_files import ModelFiles
from p2p.learned_words import LearnedWords, UnusableToken, learn
from p2p.segments import Segment, longest
from prompts.tokenization.clip import MERGES, VOCABULARY, clip_tokenizer
from prompts.tokenization.special import CONFIG, SpecialTokens, read
from prompts.tokenization.t5 import PIECES, t5_tokenizer

WHOLE = "tokenizer.json"


def _whole(folder: Path) -> Tokenizer:
    """The tokenizer of one file. Special tokens that only the configuration names are cut out too, as transformers does
    it: the second tokenizer of SDXL pads with "!"."""
    tokenizer = Tokenizer.from_file(str(folder / WHOLE))
    SpecialTokens.of(folder, {}).add_to(tokenizer)
    return tokenizer


#: How a tokenizer is made of a folder's files, by the file that decides it; the first that is there.
KINDS: Mapping[str, Callable[[Path], Tokenizer]] = {
    WHOLE: _whole,
    VOCABULARY: clip_tokenizer,
    PIECES: t5_tokenizer,
}
#: The files of a hub id that are fetched: the tokenizer, and those that say how many tokens are read and which
#: scheduler the model has, and with which settings.
FILES = (
    "tokenizer/*",
    "tokenizer_2/*",
    "tokenizer_3/*",
    "text_encoder/config.json",
    "transformer/config.json",
    "scheduler/scheduler_config.json",
    "decoder_scheduler/scheduler_config.json",
    "model_index.json",
)
#: transformers writes 1e30 where nobody says; no text encoder reads a million tokens.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class OpenedTokenizer:
    """A tokenizer, and how many tokens its model reads, start and end included.

    Attributes:
        limit: by the tokenizer's and the text encoder's files; None if neither says.
        learned: words that textual inversions added.
        further: the tokenizers of the model's further text encoders.
        segments: of a model whose prompts have some (`p2p.segments`), each with its tokenizer; this one is the longest.
    """

    tokenizer: Tokenizer
    limit: int | None
    learned: LearnedWords = field(default_factory=LearnedWords)
    further: tuple["OpenedTokenizer", ...] = ()
    segments: tuple[tuple[Segment, Tokenizer], ...] = ()


def open_tokenizer(place: Path) -> OpenedTokenizer:
    """The tokenizer at a file, in a folder of its own, or in a model's folder.

    Raises:
        InvalidCatalogue: there is none, or it cannot be read.
    """
    if place.is_file() and place.name not in KINDS:
        return _opened(place, partial(Tokenizer.from_file, str(place)), place.parent)
    folders = [place.parent] if place.is_file() else [place / "tokenizer", place]
    kinds = [place.name] if place.is_file() else list(KINDS)
    for folder in folders:
        for kind in kinds:
            if (folder / kind).is_file():
                return _opened(folder / kind, partial(KINDS[kind], folder), folder)
    wanted = f"{WHOLE}, {VOCABULARY} with {MERGES}, or {PIECES}"
    raise InvalidCatalogue(f"no tokenizer at {place}: set `tokenizer` to where {wanted} is, or leave it out")


def tokenizer_of(declaration: ModelDeclaration) -> OpenedTokenizer:
    """A declared model's tokenizer with its learned words: the one that is named, or that of the model itself.

    Raises:
        InvalidCatalogue: there is none, it cannot be read or fetched, or a learned word cannot be one.
    """
    layout = LAYOUTS.get(declaration.family)
    if layout is not None and layout.segments is not None:
        return _segmented(declaration, layout)
    opened = tokenizer_alone(declaration)
    if layout is None:
        return opened  # a family that is not known is said elsewhere: its files are not
    if layout.lowercases:
        own = [] if opened.tokenizer.normalizer is None else [opened.tokenizer.normalizer]
        opened.tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])
    all_ = [opened, *_further(declaration, layout)]
    try:
        words = [(each.token, vectors(Path(each.path), layout)) for each in declaration.embeddings]
        # A word of the model is one to each of its tokenizers.
        first, *others = (replace(each, learned=learn(each.tokenizer, words)) if words else each for each in all_)
        return replace(first, further=tuple(others))
    except UnusableToken as error:
        raise InvalidCatalogue(str(error)) from error
    except (OSError, ValueError, AttributeError) as error:
        # `embeddings.troubles` says all that is wrong with a file; without the text encoder's width it is asked here.
        said = "; ".join(str(each) for one in declaration.embeddings for each in troubles(Path(one.path), layout, {}))
        raise InvalidCatalogue(said or f"a file of `embeddings` cannot be read: {error}") from error


def tokenizer_alone(declaration: ModelDeclaration) -> OpenedTokenizer:
    """A declared model's tokenizer as its files have it; raises `InvalidCatalogue`."""
    if declaration.tokenizer is not None:
        return open_tokenizer(declaration.tokenizer)
    return open_tokenizer(_folder(declaration))


def _segmented(declaration: ModelDeclaration, layout: Layout) -> OpenedTokenizer:
    """The tokenizers of a model whose prompts have segments."""
    if declaration.tokenizer is not None:
        raise InvalidCatalogue(
            f"{declaration.family} reads prompts by the tokenizers of its model's folder: leave `tokenizer` out"
        )
    folder = _folder(declaration)
    try:
        segments = layout.segments_of(parts_of(folder))
    except UnsupportedModel as error:
        raise InvalidCatalogue(str(error)) from error
    opened = {
        segment.at_most(_said(folder / segment.tokenizer)): open_tokenizer(folder / segment.tokenizer)
        for segment in segments
    }
    for each in opened.values():
        # Prompts are counted and laid out here: a file may say to cut and to fill up.
        each.tokenizer.no_truncation()
        each.tokenizer.no_padding()
    whole = tuple((segment, each.tokenizer) for segment, each in opened.items())
    return replace(opened[longest(list(opened))], segments=whole)


def _further(declaration: ModelDeclaration, layout: Layout) -> Iterator[OpenedTokenizer]:
    """The tokenizers of a model's further text encoders, where its own are at hand."""
    further = layout.readers[1:]
    if declaration.tokenizer is None and further:
        folder = _folder(declaration)
        for place in (folder / reader.tokenizer for reader in further):
            if place.is_dir():
                yield open_tokenizer(place)


def _folder(declaration: ModelDeclaration) -> Path:
    """Where the small files of a declared model are; raises `InvalidCatalogue`."""
    files = ModelFiles.of(declaration)
    folder = Path(files.described_by)
    try:
        if trouble := misplaced(files):
            raise UnsupportedModel(str(trouble))
        if declaration.revision is not None:
            folder = fetched(files.described_by, declaration.revision, FILES)
        elif not (folder / "tokenizer").is_dir():
            parts_of(folder)  # says it better where there is no model at all
    except UnsupportedModel as error:
        raise InvalidCatalogue(str(error)) from error
    return folder


def own_limit(declaration: ModelDeclaration, opened: OpenedTokenizer) -> int | None:
    """How many tokens a model reads, by its family where that has a number of its own, else by its files."""
    if opened.segments:
        return longest([segment for segment, _ in opened.segments]).limit
    layout = LAYOUTS.get(declaration.family)
    of_family = layout.token_limit if layout is not None and isinstance(layout.token_limit, int) else None
    return min((limit for limit in (of_family, opened.limit) if limit is not None), default=None)


def _opened(file: Path, make: Callable[[], Tokenizer], folder: Path) -> OpenedTokenizer:
    try:
        return OpenedTokenizer(make(), _limit(folder))
    except Exception as error:  # the package raises bare Exception
        raise InvalidCatalogue(f"{file} cannot be read as a tokenizer: fetch it again ({error})") from error


def _said(folder: Path) -> int | None:
    """How many tokens a tokenizer's own file says; None if it does not."""
    limit = read(folder / CONFIG).get("model_max_length")
    return int(limit) if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT else None


def _limit(folder: Path) -> int | None:
    said = [
        read(folder / CONFIG).get("model_max_length"),
        read(folder.parent / "text_encoder" / "config.json").get("max_position_embeddings"),
    ]
    limits = [int(limit) for limit in said if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT]
    return min(limits, default=None)
