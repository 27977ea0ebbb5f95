"""Answers about the models of this installation."""

from pydantic import BaseModel, Field

from jobs.catalogue import ModelDeclaration, ModelDefaults, ModelLimits


class ModelView(BaseModel):
    """A model that edits can name."""

    id: str
    description: str
    sizes: tuple[tuple[int, int], ...] = Field(description="[height, width]; the first is the default.")
    max_tokens: int = Field(description="Tokens of one prompt, start and end included.")
    vocabulary: tuple[str, ...] | None = Field(
        description="The words it was trained on; other words have no meaning to it. Null if they are not listed."
    )
    defaults: ModelDefaults
    limits: ModelLimits

    @classmethod
    def of(cls, model: ModelDeclaration, max_tokens: int) -> "ModelView":
        """The view of a declaration, which may leave `max_tokens` to the model's own files."""
        return cls(**{name: getattr(model, name) for name in cls.model_fields} | {"max_tokens": max_tokens})


class ModelList(BaseModel):
    """The models of this installation."""

    models: tuple[ModelView, ...]
