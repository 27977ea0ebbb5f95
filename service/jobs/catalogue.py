"""Which models this installation offers, and what of each: read from one file by the API and by the workers."""

import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from p2p.spec import SchedulerName
from service.jobs.errors import InvalidCatalogue

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

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
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
            raise ValueError(f"{self.defaults.steps} default steps are more than max_steps {self.limits.max_steps}")
        return self

    def located(self, folder: Path) -> "ModelDeclaration":
        """The declaration with the paths that are relative to `folder` made absolute, and its vocabulary read."""
        path = self.path if self.revision else str((folder / self.path).resolve())
        tokenizer = self.tokenizer and (folder / self.tokenizer).resolve()
        changes: dict[str, object] = {"path": path, "tokenizer": tokenizer}
        if isinstance(self.vocabulary, str):
            changes["vocabulary"] = _words_of(folder / self.vocabulary)
        return self.model_copy(update=changes)

    @cached_property
    def known_words(self) -> frozenset[str] | None:
        """The vocabulary in the form in which words are compared; None if it is not declared."""
        return None if self.vocabulary is None else frozenset(word.casefold() for word in self.vocabulary)


def _words_of(file: Path) -> tuple[str, ...]:
    try:
        return tuple(file.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidCatalogue(f"no vocabulary at {file}: name a text file of words, one a line ({error})") from error


class _File(Part):
    models: Annotated[tuple[ModelDeclaration, ...], Field(min_length=1)]


def load_catalogue(path: Path) -> Mapping[str, ModelDeclaration]:
    """The models that a file declares, by id, in its order.

    Raises:
        InvalidCatalogue: there is no such file, or it says something it may not.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidCatalogue(f"no models file at {path}: set MODELS_FILE to one ({error.strerror})") from error
    try:
        models = _File.model_validate(tomllib.loads(text)).models
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise InvalidCatalogue(f"{path} is no models file: {error}") from error
    catalogue = {model.id: model.located(path.resolve().parent) for model in models}
    if len(catalogue) < len(models):
        raise InvalidCatalogue(f"{path} declares {len(models)} models under {len(catalogue)} ids: give each its own")
    return catalogue
