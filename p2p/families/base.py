"""What a model family provides, so that the loop and the control know nothing of any model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from p2p.attention.control import AttentionControl
from p2p.attention.sites import AttentionSite, Levels
from p2p.spec import SchedulerName
from p2p.tokens import PromptTokenizer


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Encoded prompts of the rows of a batch, and how strongly each is guided.

    The batch is the unconditional rows, one for each row that is guided and in their order, then the rows themselves.

    Attributes:
        context: (unconditional + rows, tokens, channels). Always the same tensor: layers keep what they made of it.
        guidance_scale: (rows,), on the CPU; at 1 and below guidance adds nothing, and there is no unconditional row.
        prompts: of each row of the batch the number of its prompt, as they first appear.
    """

    context: Tensor
    guidance_scale: Tensor
    prompts: tuple[int, ...]

    @classmethod
    def of(cls, texts: Sequence[tuple[str | None, Tensor]], guidance_scale: Tensor) -> "Conditioning":
        """The conditioning of a batch by its rows: each one's prompt, and what (1, tokens, channels) it encodes to.

        Rows of one prompt have one encoding; those of an embedding that is no prompt's (None) too.
        """
        numbers: dict[str | None, int] = {}
        prompts = tuple(numbers.setdefault(prompt, len(numbers)) for prompt, _ in texts)
        return cls(torch.cat([encoded for _, encoded in texts]), guidance_scale, prompts)

    @cached_property
    def guided(self) -> list[int]:
        """The rows that have an unconditional one."""
        return [row for row, scale in enumerate(self.guidance_scale.tolist()) if scale > 1]

    @cached_property
    def _scale(self) -> Tensor:
        return self.guidance_scale[self.guided][:, None, None, None]

    def batch(self, latents: Tensor) -> Tensor:
        """Latents of the rows as the model sees them: (unconditional + rows, ...)."""
        everyone = len(self.guided) == len(latents)
        return torch.cat([latents if everyone else latents[self.guided], latents])

    def combine(self, output: Tensor) -> Tensor:
        """The guided output of the rows, from the model's output of the whole batch."""
        if not self.guided:
            return output
        without, rows = output[: len(self.guided)], output[len(self.guided) :]
        scale = self._scale.to(output.device, output.dtype)
        if len(self.guided) == len(rows):
            return without + scale * (rows - without)
        guided = without + scale * (rows[self.guided] - without)
        return rows.index_copy(0, torch.tensor(self.guided, device=rows.device), guided)


class ModelFamily(Protocol):
    """A loaded model of one attention layout."""

    @property
    def revision(self) -> str: ...

    @property
    def tokenizer(self) -> PromptTokenizer: ...

    @property
    def levels(self) -> Levels: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def scale_factor(self) -> int:
        """Pixels of a picture along one cell of its latents."""
        ...

    def attention_sites(self) -> Sequence[AttentionSite]: ...

    def attention_processors(self, control: AttentionControl) -> Mapping[str, Any]: ...

    @property
    def attention_layers(self) -> Mapping[str, Any]:
        """The modules whose processors are replaced during a run, by the names of their sites."""
        ...

    def latent_shape(self, height: int | None, width: int | None) -> tuple[int, int, int]:
        """Channels, height and width of the latents of a picture; the model's own size where none is given."""
        ...

    def scheduler(self, steps: int, name: SchedulerName | None = None) -> Any:
        """A fresh scheduler, its timesteps set: the model's own where none is named; raises `UnsupportedSampling`."""
        ...

    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """(prompts, tokens, channels)."""
        ...

    def predict(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        """The model's guided output for the rows."""
        ...

    def predict_differentiable(self, latents: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        """The model's output for rows of encoded prompts without guidance, with a gradient to `text`.

        Activations are computed again for the gradient (Chen et al. 2016, gradient checkpointing): kept, those of
        SD 1.x at 512x512 do not fit into 16 GB (google/prompt-to-prompt, issue 22).
        """
        ...

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents of pictures, (pictures, 3, height, width) in 0..1: the mean of what the autoencoder says.

        Raises `NotFinite` where they are not finite in float32 either (`p2p.finite.finite_or_again`).
        """
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Pictures of latents, (pictures, 3, height, width) in 0..1, float32; never anything else than numbers.

        Raises `NotFinite` where they are not finite in float32 either (`p2p.finite.finite_or_again`).
        """
        ...


def to_pixels(images: Sequence[Image.Image]) -> Tensor:
    """RGB pictures of one size as pixels in 0..1, (pictures, 3, height, width) float32."""
    levels = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
    return levels.permute(0, 3, 1, 2).float() / 255


def to_images(pixels: Tensor, *, truncate: bool = False) -> tuple[Image.Image, ...]:
    """Pixels in 0..1 as pictures, to the nearest of 256 levels; the published code truncates instead."""
    levels = pixels.float().cpu().permute(0, 2, 3, 1) * 255
    levels = levels if truncate else levels.round()
    return tuple(Image.fromarray(picture.numpy()) for picture in levels.to(torch.uint8))
