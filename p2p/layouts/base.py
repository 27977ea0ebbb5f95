"""What a model family handles, as data, and the one check of a model against it.

A family declares what it computes exactly. Whatever else a model's files say is refused with the part's name: a model
that is nearly right gives pictures that are nearly right, and nothing is reported.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from p2p.errors import UnsupportedModel
from p2p.layouts.reach import Reach
from p2p.segments import Segment
from p2p.spec import State


@dataclass(frozen=True)
class Part:
    """One part of a model, as its files or its loaded object describe it.

    Attributes:
        kinds: its class, and where it is known, that class's bases.
        config: its configuration. A key that is absent has the class's own default.
    """

    kinds: tuple[str, ...]
    config: Mapping[str, Any] = field(default_factory=dict)


#: A model: its parts by diffusers' names, and its pipeline's class under `PIPELINE`.
Parts = Mapping[str, Part]
PIPELINE = "model_index"


@dataclass(frozen=True)
class Trouble:
    """One thing about a model that keeps it from being used.

    Attributes:
        what: what is wrong, with the part's name.
        mend: the command, or the edit of a line, that mends it.
    """

    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.what}: {self.mend}"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a family's single files hold (`p2p.layouts.single_file`).

    Attributes:
        parts: by the part of a diffusers model, names of tensors of which the file has one.
        sides: tensors by how their names begin and end, an axis, and the "part.key" which that side must be.
        network: how the names of all tensors of the denoising network begin.
        own: of the pieces of names by which other files are known, those that these files have as well.
    """

    network: str
    parts: Mapping[str, Sequence[str]]
    sides: Sequence[tuple[str, str, int, str]]
    own: Sequence[str] = ()


@dataclass(frozen=True)
class Reader:
    """A text encoder of a model, with the tokenizer whose tokens it reads.

    Attributes:
        tokenizer, encoder: their parts of the model.
        learned: the tensor of a textual inversion that holds vectors for it; None for a file's only one.
    """

    tokenizer: str = "tokenizer"
    encoder: str = "text_encoder"
    learned: str | None = None


#: The values of a key that are handled, or the type that its value must have.
Handled = tuple[Any, ...] | type


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What one family handles.

    Attributes:
        kinds: per part, the classes that are handled. A part that is not named here must be absent.
        unused: parts that are never loaded, whatever they are.
        configs: per part and key, what is handled. Of a list, every element must be.
        equal: pairs of "part.key" that must have one value.
        hints: what a value that is not handled usually means, by ("part.key", value).
        mends: what to do where a part is not handled, by the part.
        token_limit: "part.key" of how many tokens the text encoder reads, or the number itself.
        cell: pixels of a picture along one cell of the latents: its sides must be multiples of it. Where further models
            make pictures larger, those of the model's own.
        readers: its text encoders. Words have the places that they have among the first one's tokens.
        segments: of a model, the parts of a prompt, where several text encoders read it one behind the other or where
            words have other places (`p2p.segments`); None if words have the first reader's.
        checkpoint: what its single files hold; None if it has none.
        state: what its runs are a sequence of, on which it depends what specs may ask for (`p2p.spec.states`).
        draws: what a model makes without further models, by its parts; None if its sizes are the network's alone.
        stages: the layouts of further models that make its pictures larger, by their pipelines; none if it takes none.
        enlarges: of a further model, how many times as long it makes the sides of pictures, by its parts and the side
            of those that the model before it was trained on.
        reads_chunks: whether its text encoders read a long prompt in chunks (`p2p.chunks`).
        lowercases: whether prompts are read in lower case.
        cuts_off: the part of the scheduler whose configuration says whether values are cut off (`clip_sample`,
            `thresholding`); None if that is never done to a run's state.
        offloads: whether its networks may wait in main memory until they are needed.
        quantized: the part whose weights may have eight bits; None if none may.
        overflows_in_float16: "part.key" that says that a part overflows in float16; None if the family mends it.
    """

    kinds: Mapping[str, tuple[str, ...]]
    unused: tuple[str, ...] = ()
    configs: Mapping[str, Mapping[str, Handled]] = field(default_factory=dict)
    equal: Sequence[tuple[str, str]] = ()
    hints: Mapping[tuple[str, Any], str] = field(default_factory=dict)
    mends: Mapping[str, str] = field(default_factory=dict)
    token_limit: str | int
    cell: Callable[[Parts], int]
    readers: tuple[Reader, ...] = (Reader(),)
    segments: Callable[[Parts], tuple[Segment, ...]] | None = None
    checkpoint: Checkpoint | None = None
    state: State = "latents"
    draws: Callable[[Parts], Sequence[Reach]] | None = None
    stages: "Mapping[str, Layout]" = field(default_factory=dict)
    enlarges: Callable[[Parts, int], int] | None = None
    reads_chunks: bool = True
    lowercases: bool = False
    cuts_off: str | None = None
    offloads: bool = False
    quantized: str | None = None
    overflows_in_float16: str | None = None

    def segments_of(self, parts: Parts) -> tuple[Segment, ...]:
        """The parts of a prompt; none if words have the first reader's places."""
        return () if self.segments is None else self.segments(parts)

    def tokens(self, parts: Parts) -> int | None:
        """How many tokens the text encoder reads; None if its files do not say."""
        if isinstance(self.token_limit, int):
            return self.token_limit
        return value_of(parts, self.token_limit)


def beyond_half(layout: Layout, parts: Parts, dtype: str | None) -> Iterator[Trouble]:
    """What keeps a model from running in a precision, such as "float16"; None for the worker's own choice."""
    if dtype == "float16" and layout.overflows_in_float16 and value_of(parts, layout.overflows_in_float16):
        part, key = layout.overflows_in_float16.split(".")
        yield Trouble(
            f"{part} says {key}: it overflows in float16, and float16 is asked for",
            'set `torch_dtype = "bfloat16"` in its table of the models file, or `P2P_DTYPE`',
        )


def require(name: str, layout: Layout, parts: Parts) -> None:
    """Refuses a model that a family does not handle exactly.

    Args:
        name: the family's.
    Raises:
        UnsupportedModel: naming every part that is not handled.
    """
    if found := list(unhandled(name, layout, parts)):
        raise UnsupportedModel("; ".join(map(str, found)))


def unhandled(name: str, layout: Layout, parts: Parts) -> Iterator[Trouble]:
    """Everything about a model that a family does not handle."""
    for part, what in _unhandled(name, layout, parts):
        yield Trouble(what, layout.mends.get(part, f"set `path` to a model of the layout {name}"))


def _unhandled(name: str, layout: Layout, parts: Parts) -> Iterator[tuple[str, str]]:
    for part, kinds in layout.kinds.items():
        if part not in parts:
            yield part, f"{part} is missing, and {name} needs one of {', '.join(kinds)}"
        elif not set(kinds) & set(parts[part].kinds):
            yield part, f"{part} is {parts[part].kinds[0]}, and {name} handles {', '.join(kinds)}"
    for part in parts:
        if part not in layout.kinds and part not in layout.unused:
            yield part, f"{part} ({parts[part].kinds[0]}) is a part that {name} does not use"
    for part, keys in layout.configs.items():
        config = parts[part].config if part in parts else {}
        for key, handled in keys.items():
            if key in config and not _handles(handled, config[key]):
                value, wanted = config[key], _said(handled)
                hint = _hint(layout, part, key, value)
                yield part, f"{part} has {key} {_shown(value)}{hint}, and {name} handles {wanted}"
    for one, other in layout.equal:
        left, right = value_of(parts, one), value_of(parts, other)
        if left is not None and right is not None and left != right:
            part, key = one.split(".")
            hint = _hint(layout, part, key, left)
            yield part, f"{part} has {key} {_shown(left)}{hint}, and {name} needs {_named(other)}, {_shown(right)}"


def _handles(handled: Handled, value: Any) -> bool:
    if isinstance(handled, type):
        return isinstance(value, handled)
    if isinstance(value, list | tuple):
        return all(_handles(handled, each) for each in value)
    return value in handled


def value_of(parts: Parts, path: str) -> Any:
    """The value of a "part.key"; None if it is absent. Of a list of equal values, that value."""
    part, key = path.split(".")
    value = parts[part].config.get(key) if part in parts else None
    if isinstance(value, list | tuple) and len(set(map(str, value))) == 1:
        return value[0]
    return value


def _hint(layout: Layout, part: str, key: str, value: Any) -> str:
    path = f"{part}.{key}"
    found = next((said for (of, what), said in layout.hints.items() if of == path and what == value), "")
    return f" ({found})" if found else ""


def _named(path: str) -> str:
    part, key = path.split(".")
    return f"{part}'s {key}"


def _said(handled: Handled) -> str:
    if isinstance(handled, type):
        return f"one {handled.__name__}"
    return " or ".join(_shown(value) for value in handled)


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
