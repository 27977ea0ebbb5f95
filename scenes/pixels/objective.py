"""What the UNet and its text encoder learn by: errors of the velocity and the variance, and what words have to do.

As with the built-in model (`scenes.objective`), but in pixels: a layer's words compete with its pixels in one softmax.
"""

from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from transformers import T5EncoderModel, T5Tokenizer

from scenes.attention_terms import attention_missing, attention_outside
from scenes.objective import ATTENTION_WEIGHT, MAX_SNR
from scenes.pixels.captions import CaptionsApart, PooledFrom
from scenes.pixels.joint_attention import CatchJointAttention
from scenes.pixels.network import scheduler
from scenes.tokens.drawing import Pictures

#: Above this timestep the picture is noise and a word cannot know its place: .02 of the variance is the picture's.
ATTENTION_BELOW = 900
#: Of each of a thing's pixels' attention, the share that its words should have; the pixels have most of the rest.
WORDS_SHARE = 0.25
#: Of the bound on the likelihood, by which alone the variance is learned (Nichol and Dhariwal 2021, section 3.1).
VARIANCE_WEIGHT = 0.1


@dataclass(frozen=True, eq=False)
class Terms:
    """The terms of a loss, each a scalar.

    Attributes:
        error: of the velocity, weighted by the signal-to-noise ratio.
        variance: the bound on the likelihood, in nats, as far as it follows from the predicted variance.
        outside, missing: of attention (`scenes.attention_terms`).
    """

    error: torch.Tensor
    variance: torch.Tensor
    outside: torch.Tensor
    missing: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        attention = ATTENTION_WEIGHT * (self.outside + self.missing)
        return self.error + VARIANCE_WEIGHT * self.variance + attention


class Objective:
    """The loss of a UNet that paints what a text encoder reads; the UNet's layers are replaced by watched ones.

    Args:
        use_compiled: has the UNet compiled at the first call, which takes minutes and is several times faster then.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text_encoder: T5EncoderModel,
        tokenizer: T5Tokenizer,
        *,
        use_compiled: bool = False,
    ) -> None:
        self._device = unet.device
        self._apart = CaptionsApart(text_encoder, tokenizer, unet.device)
        self._caught: list[torch.Tensor] = []
        unet.set_attn_processor({name: CatchJointAttention(self._caught) for name in unet.attn_processors})
        self._pooled_from = PooledFrom()
        unet.add_embedding.register_forward_pre_hook(self._pooled_from)
        self._unet = torch.compile(unet, dynamic=False) if use_compiled else unet
        self._schedule = scheduler()
        self._snr = (self._schedule.alphas_cumprod / (1 - self._schedule.alphas_cumprod)).to(unet.device)

    def __call__(self, batch: Pictures, dropped: torch.Tensor, generator: torch.Generator) -> Terms:
        """The terms for a batch.

        Args:
            dropped: (batch,) bool, whose captions are replaced by the empty one.
            generator: of timesteps, noise, and the words that are exchanged.
        """
        device, schedule = self._device, self._schedule
        x = (batch.images.permute(0, 3, 1, 2).float() / 127.5 - 1).to(device)
        tokens = torch.where(dropped[:, None].to(device), self._apart.empty, batch.words.long().to(device))
        t = torch.randint(0, schedule.config.num_train_timesteps, (len(batch),), generator=generator)
        named = torch.where((dropped | (t >= ATTENTION_BELOW))[:, None], -1, batch.named.long()).to(device)
        noise, t = torch.randn(x.shape, generator=generator).to(device), t.to(device)
        seen = schedule.add_noise(x, noise, t)
        self._pooled_from.rows = self._apart.others(tokens, generator)
        self._caught.clear()
        with torch.autocast(device.type, torch.bfloat16):
            words = self._apart(tokens, generator)
            output = self._unet(seen, t, words, return_dict=False)[0]
        velocity, spread = output.float().chunk(2, 1)
        weight = self._snr[t].clamp(max=MAX_SNR) / (self._snr[t] + 1)
        error = ((velocity - schedule.get_velocity(x, noise, t)) ** 2).mean((1, 2, 3))
        cells = batch.cells.to(device)
        return Terms(
            (error * weight).mean(),
            self._bound(x, seen, velocity.detach(), spread, t),
            attention_outside(self._caught, named, cells),
            attention_missing(self._caught, named, cells, WORDS_SHARE),
        )

    def _bound(
        self, x: torch.Tensor, seen: torch.Tensor, velocity: torch.Tensor, spread: torch.Tensor, t: torch.Tensor
    ) -> torch.Tensor:
        """The divergence of the step that is predicted from the true one, in nats a value, mean over the batch.

        The variance lies between the posterior's and beta, as the scheduler reads it (`learned_range`).
        """
        alphas = self._schedule.alphas_cumprod.to(t.device)
        # The first step of all has no variance; it is given the second's.
        late = t.clamp(min=1)
        now, before = (alphas[index][:, None, None, None] for index in (late, late - 1))
        beta = 1 - now / before
        least = (beta * (1 - before) / (1 - now)).log()
        share = (spread + 1) / 2
        predicted = share * beta.log() + (1 - share) * least
        signal = alphas[t][:, None, None, None]
        clean = (signal.sqrt() * seen - (1 - signal).sqrt() * velocity).clamp(-1, 1)
        apart = (before.sqrt() * beta / (1 - now) * (x - clean)) ** 2
        divergence = predicted - least - 1 + (least - predicted).exp() + apart * (-predicted).exp()
        return 0.5 * divergence.mean()
