"""Which models this installation offers, and what each can do: read from one file by the API and by the workers."""

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from jobs.declaration_errors import lines_of, shown
from jobs.errors import InvalidCatalogue
from p2p.spec import MOST_LORA_WEIGHT, Keep, ModelName, SchedulerName, StepWindow

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]

_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
LoraWeight = Annotated[float, Field(ge=-MOST_LORA_WEIGHT, le=MOST_LORA_WEIGHT)]


class Part(BaseModel):
    """Base of all parts of the file: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelDefaults(Part):
    """What a request gets that does not say otherwise."""

    steps: Count
    guidance_scale: Annotated[float, Field(ge=0, le=50)]
    keep: Keep | None = Field(None, description="What an edit of a place keeps to the pixel: `things`, or nothing.")
    cross_window: StepWindow | None = Field(
        None, description="Takes the place of the first 0.4 of the run, where a target says no window."
    )
    self_window: StepWindow | None = Field(
        None, description="Takes the place of the first 0.4 of the run, where a target says no window."
    )


class ModelLimits(Part):
    """What a request may ask for at most."""

    max_steps: Count
    max_targets: Count = Field(description="Targets of one edit; of several seeds, targets times seeds.")


class ModelPatience(Part):
    """How long its workers are waited for."""

    step_seconds: Seconds = Field(60, description="A worker that ends no step for so long is taken for hung.")
    first_step_seconds: Seconds = Field(300, description="The same for a job's first step, which may compile.")
    job_seconds: Seconds = Field(1800, description="A job that takes longer is stopped between two steps, and fails.")


class Lora(Part):
    """A LoRA that is fused into a model when it is loaded."""

    path: str = Field(description="A safetensors file, relative to the models file.")
    weight: LoraWeight = Field(1.0, description="What its change is multiplied with.")


class LoraChoice(Part):
    """A LoRA that a request may name."""

    id: Annotated[str, Field(pattern=_ID)]
    path: str = Field(description="A safetensors file, relative to the models file.")
    description: str = ""
    words: tuple[str, ...] = Field(
        (), description="Words that it was trained on, by which prompts ask for what it adds."
    )
    max_weight: Annotated[float, Field(gt=0, le=MOST_LORA_WEIGHT)] = Field(
        MOST_LORA_WEIGHT, description="A request's weight is this much at most, and its negative at least."
    )


class Embedding(Part):
    """A textual inversion, as a word of a model."""

    path: str = Field(description="A safetensors file, relative to the models file.")
    token: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="The word as prompts write it.")

    @property
    def word(self) -> str:
        """The token without the punctuation around it."""
        said = [index for index, character in enumerate(self.token) if character.isalnum()]
        return self.token[said[0] : said[-1] + 1] if said else ""


class ModelDeclaration(Part):
    """One model: where its weights are, and what may be asked of it."""

    id: ModelName
    description: str = ""
    path: str = Field(
        description="A directory relative to the file; with `revision`, a hub id; with `config`, a single file."
    )
    revision: str | None = Field(None, description="A hub id's commit; absent for a directory.")
    config: str | None = Field(
        None,
        description="Of a single file: the directory of its configurations, relative to the file; with `revision`, a "
        "hub id.",
    )
    variant: Annotated[str, Field(pattern=r"^\w+$")] | None = Field(
        None, description="Of the weights, such as fp16; absent for the one that fits."
    )
    torch_dtype: Literal["float32", "float16", "bfloat16"] | None = Field(
        None, description="Precision in which its workers compute, if their DTYPE is auto."
    )
    loras: tuple[Lora, ...] = Field((), description="Fused into the weights in this order.")
    lora_choices: tuple[LoraChoice, ...] = Field((), description="LoRAs that requests may name.")
    embeddings: tuple[Embedding, ...] = Field((), description="Textual inversions, each a word.")
    stages: tuple[str, ...] = Field(
        (), description="Directories of further models that make its pictures larger, relative to the file."
    )
    offload: Literal["model"] | None = Field(
        None, description="Not for clients: its networks wait in main memory until the GPU needs them, one at a time."
    )
    quantize: Literal["int8"] | None = Field(None, description="Its large network's weights have eight bits.")
    family: str = Field(description="Its attention layout: p2p/families.")
    tokenizer: Path | None = Field(
        None, description="Its tokenizer's file or folder, relative to the file; absent for that of the model itself."
    )
    max_tokens: Count | None = Field(
        None, description="Tokens that a prompt may have, start and end included; absent for as many as it reads."
    )
    scheduler: SchedulerName | None = Field(None, description="Runs in the place of the model's own.")
    vocabulary: tuple[str, ...] | str | None = Field(
        None, description="Words it was trained on, or a file of them, relative to the file; absent if any."
    )
    sizes: Annotated[tuple[tuple[Count, Count], ...], Field(min_length=1)] = Field(
        description="[height, width] of the pictures it may be asked for; the first is the default."
    )
    defaults: ModelDefaults
    limits: ModelLimits
    max_rows: Count | None = Field(
        None,
        description="Not for clients: the most rows of a step that jobs share. One job at a time if absent.",
    )
    patience: ModelPatience = Field(ModelPatience(), description="Not for clients: when a worker is taken for hung.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.defaults.steps > self.limits.max_steps:
            raise ValueError(
                f"{self.defaults.steps} default steps are more than max_steps {self.limits.max_steps}: "
                "lower `defaults.steps` or raise `limits.max_steps`"
            )
        for what, names in (
            ("lora_choices", [each.id for each in self.lora_choices]),
            ("embeddings", [each.word.casefold() for each in self.embeddings]),
        ):
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(f"`{what}` has {twice} twice: give each its own name")
        return self

    def located(self, folder: Path) -> "ModelDeclaration":
        """The declaration with the paths that are relative to `folder` made absolute, and its vocabulary read."""

        def placed(field: str, path: str | Path) -> str:
            return str(_absolute(field, folder / path))

        on_hub = "path" if self.config is None else "config"
        changes: dict[str, object] = {
            name: value if value is None or (name == on_hub and self.revision) else placed(name, value)
            for name, value in (("path", self.path), ("config", self.config))
        }
        changes["tokenizer"] = self.tokenizer and _absolute("tokenizer", folder / self.tokenizer)
        for name in ("loras", "lora_choices", "embeddings"):
            files = enumerate(getattr(self, name))
            changes[name] = tuple(
                each.model_copy(update={"path": placed(f"{name}[{number}].path", each.path)}) for number, each in files
            )
        changes["stages"] = tuple(placed(f"stages[{number}]", path) for number, path in enumerate(self.stages))
        if isinstance(self.vocabulary, str):
            changes["vocabulary"] = _words_of(folder / self.vocabulary)
        return self.model_copy(update=changes)

    def known_with(self, loras: Iterable[str]) -> frozenset[str] | None:
        """`known_words`, and those of some of its LoRAs, by their ids."""
        asked = set(loras)
        if self.known_words is None or not asked:
            return self.known_words
        added = (word.casefold() for choice in self.lora_choices if choice.id in asked for word in choice.words)
        return self.known_words.union(added)

    @cached_property
    def known_words(self) -> frozenset[str] | None:
        """The vocabulary in the form in which words are compared, learned words included; None if not declared."""
        if self.vocabulary is None:
            return None
        return frozenset(word.casefold() for word in (*self.vocabulary, *(each.word for each in self.embeddings)))


def _absolute(field: str, path: Path) -> Path:
    """A file keeps its name and place: in the hub's cache it is a link to a folder that says nothing of its model."""
    try:
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):  # said where it is opened
            path.stat()
        return path.parent.resolve() / path.name if os.path.isfile(path) else path.resolve()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidCatalogue(
            f"`{field}` is {shown(str(path))}: no file or folder can have this name ({why}); correct it"
        ) from error


def _words_of(file: Path) -> tuple[str, ...]:
    try:
        return tuple(file.read_text(encoding="utf-8").split())
    except (OSError, ValueError) as error:
        raise InvalidCatalogue(
            f"no vocabulary at {file}: set `vocabulary` to a text file of words, one a line ({error})"
        ) from error


@dataclass(frozen=True)
class ModelsFile:
    """What a models file says, with everything that is wrong with it.

    Attributes:
        wrong: a line for each thing that is wrong with the file itself.
        models: every model by its id, or by its number where it has none: its declaration, or the lines that say what
            is wrong with it.
    """

    wrong: Sequence[str]
    models: Sequence[tuple[str, ModelDeclaration | Sequence[str]]]


def read_models_file(path: Path) -> ModelsFile:
    """Every model that a file declares, also where another one is declared wrongly.

    Raises:
        InvalidCatalogue: there is no such file, or it is no TOML.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidCatalogue(f"no models file at {path}: set MODELS_FILE to one ({error.strerror})") from error
    except ValueError as error:  # no UTF-8, or no TOML
        raise InvalidCatalogue(f"{path} is no models file: {error}") from error
    wrong = [f"unknown field `{name}`: the known one is `models`" for name in said if name != "models"]
    tables = said.get("models")
    if not isinstance(tables, list) or not tables:
        return ModelsFile([*wrong, "it declares no model: add a table [[models]]"], [])
    models: list[tuple[str, ModelDeclaration | Sequence[str]]] = []
    for number, table in enumerate(tables, 1):
        given = table.get("id") if isinstance(table, dict) else None
        name = given if isinstance(given, str) and given else f"number {number}"
        taken = any(name == other for other, _ in models)
        models.append((name, _repeated(name) if taken else _declared(table, path.resolve().parent)))
    return ModelsFile(wrong, models)


def _declared(table: object, folder: Path) -> ModelDeclaration | Sequence[str]:
    try:
        return ModelDeclaration.model_validate(table).located(folder)
    except ValidationError as error:
        return lines_of(error, ModelDeclaration)
    except InvalidCatalogue as error:
        return [str(error)]


def _repeated(name: str) -> Sequence[str]:
    return [f"`id` is {name}, and an earlier model of the file has it: give each its own"]


def load_catalogue(path: Path) -> Mapping[str, ModelDeclaration]:
    """The models that a file declares, by id, in its order.

    Raises:
        InvalidCatalogue: there is no such file, or it says something it may not: a line for each.
    """
    file = read_models_file(path)
    lines = [f"{path}: {line}" for line in file.wrong]
    catalogue: dict[str, ModelDeclaration] = {}
    for name, found in file.models:
        if isinstance(found, ModelDeclaration):
            catalogue[name] = found
        else:
            lines += [f"{path}: model {name}: {line}" for line in found]
    if lines:
        raise InvalidCatalogue("\n".join(lines))
    return catalogue
