"""What the network learns to paint by: the error of the velocity, and what is asked of its cross-attention.

Three choices make a small network learn in hours what can be edited: v-prediction paints the asked-for place and style
where epsilon-prediction paints nothing recognisable; each noun's cross-attention is asked to lie on the thing it names
(`scenes.attention_terms`), without which there is no local blend; and each word has to speak for itself
(`scenes.words_apart`), without which there is no fader.
"""

from dataclasses import dataclass

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from scenes.attention_terms import CatchAttention, attention_missing, attention_outside
from scenes.dataset import Examples
from scenes.words_apart import WordsApart

ATTENTION_WEIGHT = 0.05
#: Above this timestep the picture is noise and a word cannot know its place.
ATTENTION_BELOW = 800
#: Cap of the signal-to-noise weight (min-SNR, Hang et al. 2023, arXiv 2303.09556).
MAX_SNR = 5

#: Deviation of the noise that a picture's parts share: some times what shows of the picture at its noisiest, .07 of it.
OFFSET = 0.15

#: Stable Diffusion's betas.
BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction")


@dataclass(frozen=True, eq=False)
class Terms:
    """The terms of a loss, each a scalar.

    Attributes:
        error: of the velocity, weighted by the signal-to-noise ratio.
        outside, missing: of attention (`scenes.attention_terms`).
    """

    error: torch.Tensor
    outside: torch.Tensor
    missing: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        return self.error + ATTENTION_WEIGHT * (self.outside + self.missing)


class Objective:
    """The loss of a UNet that paints what a text encoder reads.

    Args:
        scale: of the autoencoder's latents.
    """

    def __init__(
        self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, scale: float
    ) -> None:
        self._unet, self._scale, self._device = unet, scale, unet.device
        self._words_apart = WordsApart(text_encoder, tokenizer, unet.device)
        self._caught: list[torch.Tensor] = []
        self._stock = unet.attn_processors
        self._catching = {n: CatchAttention(self._caught) if "attn2" in n else p for n, p in self._stock.items()}
        self._schedule = DDPMScheduler(**BETAS)
        self._snr = (self._schedule.alphas_cumprod / (1 - self._schedule.alphas_cumprod)).to(unet.device)
        self._empty = torch.tensor(tokenizer("", padding="max_length").input_ids)

    def __call__(self, batch: Examples, dropped: torch.Tensor, generator: torch.Generator) -> Terms:
        """The terms for a batch.

        Args:
            dropped: (batch,) bool, whose captions are replaced by the empty one.
            generator: of timesteps, noise, and the words that are exchanged.
        """
        device, schedule = self._device, self._schedule
        z = (batch.latents.float() * self._scale).to(device)
        tokens = torch.where(dropped[:, None], self._empty, batch.tokens).to(device)
        t = torch.randint(0, schedule.config.num_train_timesteps, (len(batch),), generator=generator)
        named = torch.where((dropped | (t >= ATTENTION_BELOW))[:, None], -1, batch.named).to(device)
        noise, t = offset_noise(z.shape, generator).to(device), t.to(device)
        self._unet.set_attn_processor(dict(self._catching))
        self._caught.clear()
        with torch.autocast(device.type, torch.bfloat16):
            embeddings = self._words_apart(tokens, generator)
            velocity = self._unet(schedule.add_noise(z, noise, t), t, embeddings).sample.float()
        weight = self._snr[t].clamp(max=MAX_SNR) / (self._snr[t] + 1)
        error = ((velocity - schedule.get_velocity(z, noise, t)) ** 2).mean((1, 2, 3))
        cells = batch.cells.to(device)
        return Terms(
            (error * weight).mean(),
            attention_outside(self._caught, named, cells),
            attention_missing(self._caught, named, cells),
        )

    def let_go(self) -> None:
        """Gives the UNet its own attention processors back; the next call replaces them again."""
        self._unet.set_attn_processor(dict(self._stock))


def offset_noise(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Noise of unit deviation and, in addition, noise that is the same over the whole picture or a quarter of it.

    At its noisiest a picture still shows, and a network that looks for its mean colour finds it (Lin et al. 2023,
    arXiv 2305.08891): a picture's inversion then holds its old background, whatever the prompt asks for. Noise in
    the mean and in the coarsest differences hides it (Guttenberg 2023, "Diffusion with offset noise").
    """
    batch, channels, height, width = shape
    noise = torch.randn(shape, generator=generator)
    for cells in (1, 2):
        coarse = torch.randn(batch, channels, cells, cells, generator=generator)
        noise += OFFSET * functional.interpolate(coarse, size=(height, width), mode="nearest")
    return noise
