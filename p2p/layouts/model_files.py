"""Which files a model is made of, as a models file or a caller of the library names them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Offload = Literal["model"]
Quantize = Literal["int8"]


class NamedLora(Protocol):
    """A LoRA by its file."""

    @property
    def path(self) -> str: ...

    @property
    def weight(self) -> float: ...


class NamedChoice(Protocol):
    """A LoRA that runs may ask for."""

    @property
    def id(self) -> str: ...

    @property
    def path(self) -> str: ...


class NamedEmbedding(Protocol):
    """A textual inversion by its file."""

    @property
    def path(self) -> str: ...

    @property
    def token(self) -> str: ...


@dataclass(frozen=True)
class LoraFile:
    """A LoRA that is fused into a model's weights.

    Attributes:
        path: a safetensors file, in diffusers' or kohya's layout.
        weight: what its change is multiplied with.
    """

    path: str
    weight: float = 1.0


@dataclass(frozen=True)
class EmbeddingFile:
    """A textual inversion: a word that the model learns.

    Attributes:
        path: a safetensors file.
        token: the word as prompts write it.
    """

    path: str
    token: str


class Declared(Protocol):
    """What a declaration of a model says of its files (`jobs.catalogue.ModelDeclaration`)."""

    @property
    def path(self) -> str: ...

    @property
    def revision(self) -> str | None: ...

    @property
    def config(self) -> str | None: ...

    @property
    def variant(self) -> str | None: ...

    @property
    def loras(self) -> Sequence[NamedLora]: ...

    @property
    def lora_choices(self) -> Sequence[NamedChoice]: ...

    @property
    def embeddings(self) -> Sequence[NamedEmbedding]: ...

    @property
    def stages(self) -> Sequence[str]: ...

    @property
    def offload(self) -> Offload | None: ...

    @property
    def quantize(self) -> Quantize | None: ...


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model.

    Attributes:
        path: a diffusers directory, a hub id, or with `config` a single file.
        revision: of the hub id, which is `config` where that is given.
        config: of a single file, the diffusers directory or hub id that has its configurations and tokenizer.
        variant: of the weights that are to be loaded; the one that fits where absent.
        loras: fused into the weights.
        lora_choices: the files of those that runs may ask for, by their ids.
        stages: diffusers directories of further models that make its pictures larger, in this order.
        offload: whether networks wait in main memory until they are needed; each as a whole with "model".
        quantize: of how many bits the large network's weights are; None for those of the precision.
    """

    path: str
    revision: str | None = None
    config: str | None = None
    variant: str | None = None
    loras: tuple[LoraFile, ...] = ()
    lora_choices: Mapping[str, str] = field(default_factory=dict)
    embeddings: tuple[EmbeddingFile, ...] = ()
    stages: tuple[str, ...] = ()
    offload: Offload | None = None
    quantize: Quantize | None = None

    @classmethod
    def of(cls, declared: Declared) -> "ModelFiles":
        """Those that a declaration names."""
        return cls(
            declared.path,
            declared.revision,
            declared.config,
            declared.variant,
            tuple(LoraFile(each.path, each.weight) for each in declared.loras),
            {each.id: each.path for each in declared.lora_choices},
            tuple(EmbeddingFile(each.path, each.token) for each in declared.embeddings),
            tuple(declared.stages),
            declared.offload,
            declared.quantize,
        )

    @property
    def described_by(self) -> str:
        """Where the configurations and the tokenizer are."""
        return self.path if self.config is None else self.config
