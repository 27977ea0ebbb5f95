"""What a model family provides, so that the loop and the control know nothing of any model."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from p2p.attention.control import AttentionControl
from p2p.attention.sites import AttentionSite
from p2p.families.conditioning import Conditioning
from p2p.families.encoded import Encoded
from p2p.families.lora_shelf import LoraShelf
from p2p.samplers.base import Sampler
from p2p.spec import SchedulerName, State, TokenOrder
from p2p.tokens import PromptTokenizer


@dataclass(frozen=True, eq=False)
class DrawnFrom:
    """What a row of a run was drawn from, for a stage after the loop.

    Attributes:
        text: of its prompt, one row.
        unconditional: of the negative prompt, one row; None if no row is guided by another.
        seed: of its noise.
        run: a number that tells its run from the others that are finished beside it.
        size: height and width that are asked for; None for the model's own.
        prompt, negative_prompt: as they are written, for a stage that has a text encoder of its own.
    """

    text: Encoded
    unconditional: Encoded | None
    seed: int
    run: int = 0
    size: tuple[int | None, int | None] = (None, None)
    prompt: str = ""
    negative_prompt: str = ""


class Finishing(NamedTuple):
    """What is done with the last latents of a run to have its pictures.

    Attributes:
        steps: how often `ModelFamily.finish` yields for it.
        factor: how many times as long the pictures' sides are as `ModelFamily.decode` has them.
    """

    steps: int = 0
    factor: int = 1


class ModelFamily(Protocol):
    """A loaded model of one attention layout."""

    @property
    def revision(self) -> str: ...

    @property
    def state(self) -> State:
        """What its runs are a sequence of. A grid of tokens is (rows, 1, height, width) int64 in latents' place."""
        ...

    @property
    def tokenizer(self) -> PromptTokenizer:
        """The one whose tokens are the positions of the context that words are found at."""
        ...

    @property
    def tokenizers(self) -> Sequence[PromptTokenizer]:
        """Those of all text encoders, of which each may count a prompt's tokens otherwise."""
        ...

    @property
    def reads_chunks(self) -> bool:
        """Whether its text encoders read a long prompt in chunks (`p2p.chunks`)."""
        ...

    @property
    def map_factor(self) -> int:
        """The factor of the sites whose word maps are read (`AttentionSite.is_read`)."""
        ...

    @property
    def loras(self) -> LoraShelf:
        """The LoRAs that runs may ask for."""
        ...

    @property
    def networks(self) -> Sequence[torch.nn.Module]:
        """All that has weights, for what it occupies (`p2p.families.occupied`)."""
        ...

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def scale_factor(self) -> int:
        """Pixels that `decode` makes along one cell of latents; `finishing` says how much larger pictures are."""
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

    def sampler(
        self, steps: int, name: SchedulerName | None, shape: Sequence[int], order: TokenOrder | None = None
    ) -> Sampler:
        """A fresh sampler, its steps set: the model's own where none is named.

        Args:
            shape: channels, height and width of the latents, on which some schedules depend.
            order: in which a target's tokens are settled, of models that draw tokens.
        Raises:
            UnsupportedSampling: the model cannot be sampled so.
        """
        ...

    def guides(self, guidance_scale: float) -> bool:
        """Whether a row of this scale needs an unconditional row. Some models take the scale as an input instead."""
        ...

    def encode_prompts(self, prompts: Sequence[str], chunks: int = 1) -> Encoded:
        """A row for each prompt.

        Args:
            chunks: how many a prompt is read in (`p2p.chunks`).
        """
        ...

    def encode_negative(self, prompt: str, chunks: int = 1) -> Encoded:
        """The negative prompt, one row; "" where none was given."""
        ...

    def predict(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        """The model's guided output for the rows.

        Args:
            timestep: (), or (rows,) of each row: jobs that share a batch may be at different steps.
        """
        ...

    def predict_differentiable(self, latents: Tensor, timestep: Tensor, text: Encoded) -> Tensor:
        """The model's output for rows of encoded prompts without guidance, with a gradient to the context.

        Activations are computed again for the gradient (Chen et al. 2016, gradient checkpointing): kept, those of
        SD 1.x at 512x512 do not fit into 16 GB (google/prompt-to-prompt, issue 22).
        """
        ...

    def finishing(self, height: int | None, width: int | None) -> Finishing:
        """What `finish` does for pictures of a size; of the model's own where none is given."""
        ...

    def finish(self, latents: Tensor, rows: Sequence[DrawnFrom]) -> Generator[int, None, Tensor]:
        """What is made of the last latents: pictures of the size that is asked for, in 0..1, float32.

        Yields the number of the run (`DrawnFrom.run`) after each piece of work on it that takes as long as a step, so
        that a caller can stop in between.

        Args:
            rows: what each is drawn from; of one size. Rows of several runs may be finished together, and no run may
                notice.
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
