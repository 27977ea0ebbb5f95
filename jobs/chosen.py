"""What was chosen for an edited picture whose request names no edits."""

from pydantic import BaseModel, ConfigDict, Field

from p2p.spec import Edit, LocalBlend, Room, StepWindow


class _Kept(BaseModel):
    """As `jobs.model.Record`: immutable; a field written by a newer version is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class ChangeRead(_Kept):
    """One thing that an edited prompt changes, in words."""

    kind: str = Field(description="thing, attribute, place, style, add, remove or weights (docs/automatic.md).")
    source_words: tuple[str, ...] = Field((), description="Words of the source's prompt that it takes away.")
    words: tuple[str, ...] = Field((), description="Words of the edited prompt that it brings.")
    about: tuple[str, ...] = Field((), description="Words of the edited prompt that it describes.")


class Choice(_Kept):
    """What a target without edits is run with: its fields, to be copied into a request, and what they do in a line."""

    says: str = Field(description='What is done, in a line, such as "dog for cat; the rest is kept".')
    edits: tuple[Edit, ...]
    cross_window: StepWindow | None = Field(None, description="Null if the request says it.")
    self_window: StepWindow | None = Field(None, description="Null if the request says it.")
    local_blend: LocalBlend | None = Field(
        None, description="Null if the request says it, and if the whole picture may change."
    )
    room: Room | None = Field(None, description="Of a thing that is added; null if the request says it.")


class Chosen(Choice):
    """What was chosen for one edited picture: fields of its target, to be copied into a request."""

    picture: int = Field(description="1 is the first edit.")
    change: tuple[ChangeRead, ...] = Field(description="What the words say; empty if nothing that they say differs.")
