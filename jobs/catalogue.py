"""Which models this installation offers, and what each can do: read from one file by the API and by the workers."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from jobs.declaration_errors import lines_of, shown
from jobs.errors import InvalidCatalogue
from p2p.spec import ModelName, SchedulerName

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]


class Part(BaseModel):
    """Base of all parts of the file: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelDefaults(Part):
    """What a request gets that does not say otherwise."""

    steps: Count
    guidance_scale: Annotated[float, Field(ge=0, le=50)]


class ModelLimits(Part):
    """What a request may ask for at most."""

    max_steps: Count
    max_targets: Count = Field(description="Targets of one edit; of several seeds, targets times seeds.")


class ModelPatience(Part):
    """How long its workers are waited for."""

    step_seconds: Seconds = Field(60, description="A worker that ends no step for so long is taken for hung.")
    first_step_seconds: Seconds = Field(300, description="The same for a job's first step, which may compile.")
    job_seconds: Seconds = Field(1800, description="A job that takes longer is stopped between two steps, and fails.")


class ModelDeclaration(Part):
    """One model: where its weights are, and what may be asked of it."""

    id: ModelName
    description: str = ""
    path: str = Field(description="A directory relative to the file; with `revision`, a hub id.")
    revision: str | None = Field(None, description="A hub id's commit; absent for a directory.")
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
    patience: ModelPatience = Field(ModelPatience(), description="Not for clients: when a worker is taken for hung.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.defaults.steps > self.limits.max_steps:
            raise ValueError(
                f"{self.defaults.steps} default steps are more than max_steps {self.limits.max_steps}: "
                "lower `defaults.steps` or raise `limits.max_steps`"
            )
        return self

    def located(self, folder: Path) -> "ModelDeclaration":
        """The declaration with the paths that are relative to `folder` made absolute, and its vocabulary read."""
        path = self.path if self.revision else str(_absolute("path", folder / self.path))
        tokenizer = self.tokenizer and _absolute("tokenizer", folder / self.tokenizer)
        changes: dict[str, object] = {"path": path, "tokenizer": tokenizer}
        if isinstance(self.vocabulary, str):
            changes["vocabulary"] = _words_of(folder / self.vocabulary)
        return self.model_copy(update=changes)

    @cached_property
    def known_words(self) -> frozenset[str] | None:
        """The vocabulary in the form in which words are compared; None if it is not declared."""
        return None if self.vocabulary is None else frozenset(word.casefold() for word in self.vocabulary)


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
