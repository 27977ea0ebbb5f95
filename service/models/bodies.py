"""Answers about the models of this installation."""

from pydantic import BaseModel, Field

from jobs.catalogue import ModelDeclaration, ModelDefaults, ModelLimits
from p2p.spec import SchedulerName
from prompts.schedulers import Substitution


class LoraView(BaseModel):
    """A LoRA that edits can ask for."""

    id: str
    description: str
    words: tuple[str, ...] = Field(description="Words that it was trained on: a prompt asks by them for what it adds.")
    max_weight: float = Field(description="An edit's weight is this much at most, and its negative at least.")


class ModelView(BaseModel):
    """A model that edits can name."""

    id: str
    description: str
    sizes: tuple[tuple[int, int], ...] = Field(description="[height, width]; the first is the default.")
    max_tokens: int = Field(description="Tokens of one prompt, start and end included.")
    vocabulary: tuple[str, ...] | None = Field(
        description="The words it was trained on; other words have no meaning to it. Null if they are not listed."
    )
    scheduler: SchedulerName | None = Field(
        description="Runs if a request names none, in the place of the model's own; null if the model's own runs."
    )
    scheduler_replaces: str | None = Field(
        description="The class of the model's own scheduler, if it is not handled and `scheduler` runs in its place "
        "for that reason."
    )
    loras: tuple[LoraView, ...] = Field(description="Those that an edit may ask for in `loras`.")
    learned_words: tuple[str, ...] = Field(description="Words that textual inversions added, as prompts write them.")
    defaults: ModelDefaults
    limits: ModelLimits

    @classmethod
    def of(cls, model: ModelDeclaration, max_tokens: int, instead: Substitution | None = None) -> "ModelView":
        """The view of a declaration, which may leave `max_tokens` to the model's own files.

        Args:
            instead: what runs in the place of the model's own scheduler, if nobody has asked for it.
        """
        said = {
            "max_tokens": max_tokens,
            "scheduler": model.scheduler if instead is None else instead.by,
            "scheduler_replaces": None if instead is None else instead.own,
            "loras": tuple(LoraView(**each.model_dump(exclude={"path"})) for each in model.lora_choices),
            "learned_words": tuple(each.token for each in model.embeddings),
        }
        return cls(**{name: said[name] if name in said else getattr(model, name) for name in cls.model_fields})


class ModelList(BaseModel):
    """The models of this installation."""

    models: tuple[ModelView, ...]
