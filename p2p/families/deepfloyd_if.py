"""DeepFloyd IF and everything of its layout, which is that of Imagen: pixels, one T5 encoder, one softmax a layer."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from diffusers import IFPipeline
from tokenizers import normalizers
from torch import Tensor

from p2p.errors import UnsupportedModel
from p2p.families.encoded import Encoded
from p2p.families.pixels import PixelFamily
from p2p.families.stages import load_stage
from p2p.families.super_resolution import Stage
from p2p.layouts.checks import described
from p2p.layouts.deepfloyd_if import DEEPFLOYD_IF
from p2p.layouts.model_files import ModelFiles
from p2p.spec import SchedulerName


class DeepFloydIF(PixelFamily):
    """The parts of an `IFPipeline`, the first stage of the model, as a `ModelFamily`.

    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.deepfloyd_if`).
    """

    name = "deepfloyd_if"
    kind = IFPipeline
    options: ClassVar[Mapping[str, Any]] = {"requires_safety_checker": False}

    def __init__(self, pipeline: IFPipeline, revision: str = "unknown") -> None:
        super().__init__(pipeline, revision)
        self.stages: list[Stage] = []
        backend = self.tokenizer.backend_tokenizer
        # As the pipeline does it, but where offsets still point into what the user wrote.
        own = [] if backend.normalizer is None else [backend.normalizer]
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])
        projection = self.network.encoder_hid_proj
        projection.forward = _remembering(projection.forward)

    def enlarge_by(self, stage: Stage) -> None:
        """Has a further stage make pictures larger. From then on the model's own size is what it makes."""
        self.stages.append(stage)

    @classmethod
    def load(
        cls,
        path: str | ModelFiles,
        *,
        revision: str | None = None,
        device: str,
        dtype: torch.dtype,
        scheduler: SchedulerName | None = None,
    ) -> Self:
        files = ModelFiles(path, revision) if isinstance(path, str) else path
        _require_readable(described(DEEPFLOYD_IF, files).folder)
        made = super().load(files, device=device, dtype=dtype, scheduler=scheduler)
        for further in files.stages:
            side = made.reaches[-1].side
            made.enlarge_by(load_stage(DEEPFLOYD_IF, further, side, device=device, dtype=dtype))
        return made

    @property
    def networks(self) -> Sequence[torch.nn.Module]:
        return [*super().networks, *(network for stage in self.stages for network in stage.networks)]

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str], chunks: int = 1) -> Encoded:
        read = self.tokenizer(list(prompts), padding="max_length", return_tensors="pt").to(self.device)
        # Padding is hidden from the encoder alone: the network sees what it makes of it.
        states = self.pipeline.text_encoder(read.input_ids, attention_mask=read.attention_mask)[0]
        return Encoded(states.to(self.dtype))

    def encode_negative(self, prompt: str, chunks: int = 1) -> Encoded:
        return self.encode_prompts([prompt], chunks)


def _require_readable(folder: Path) -> None:
    """Refuses a tokenizer that cannot be read here: the published repositories have SentencePiece's file alone."""
    if not (folder / "tokenizer" / "tokenizer.json").is_file() and find_spec("sentencepiece") is None:
        raise UnsupportedModel(
            f"{folder} has its tokenizer as spiece.model alone, and sentencepiece is not installed: "
            "pip install sentencepiece, or save the tokenizer as tokenizer.json"
        )


def _remembering(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A layer's forward that gives the very same output for the very same input, without a gradient.

    The network projects the text at every call. A new tensor each time would have every attention layer make its keys
    and values of the text anew (`AttentionControl.text_projections`).
    """
    last: list[tuple[Tensor, Tensor]] = []

    def remembered(states: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return forward(states)
        if not last or last[0][0] is not states:
            last[:] = [(states, forward(states))]
        return last[0][1]

    return remembered
