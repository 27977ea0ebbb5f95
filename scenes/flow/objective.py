"""What the network learns to paint by: the error of the velocity along a straight path, and what words look at.

Before a step, latents are (1 - sigma) * clean + sigma * noise, and the velocity is noise - clean (Esser et al. 2024,
arXiv 2403.03206). Sigmas are drawn from its logit-normal distribution, and shifted as in sampling. Words are asked for
what `scenes.objective` asks of them.
"""

import torch

from scenes.attention_terms import attention_missing, attention_outside
from scenes.dataset import Examples
from scenes.flow.attention_terms import CatchJointAttention
from scenes.flow.captions import Reading
from scenes.flow.transformer import SHIFT, Networks
from scenes.objective import Terms

#: Above this sigma the picture is noise and a word cannot know its place: about timestep 800 of `scenes`.
ATTENTION_BELOW = 0.83


def sigmas_drawn(count: int, generator: torch.Generator) -> torch.Tensor:
    """(count,) between 0 and 1."""
    even = torch.randn(count, generator=generator).sigmoid()
    return SHIFT * even / (1 + (SHIFT - 1) * even)


class Objective:
    """The loss of networks that paint what their text encoders read.

    Args:
        empty: (tokens,) ids of the empty caption.
        scale: of the autoencoder's latents.
    """

    def __init__(
        self, networks: Networks, reading: Reading, empty: torch.Tensor, scale: float, device: torch.device
    ) -> None:
        self._transformer, self._reading, self._scale, self._device = networks.transformer, reading, scale, device
        self._empty, self._caught = empty, list[torch.Tensor]()
        self._stock = self._transformer.attn_processors
        self.caught_by = CatchJointAttention(self._caught)

    def __call__(self, batch: Examples, dropped: torch.Tensor, generator: torch.Generator) -> Terms:
        """The terms for a batch.

        Args:
            dropped: (batch,) bool, whose captions are replaced by the empty one.
            generator: of sigmas, noise, and the words that are exchanged.
        """
        device = self._device
        clean = (batch.latents.float() * self._scale).to(device)
        ids = torch.where(dropped[:, None], self._empty, batch.tokens).to(device)
        sigma = sigmas_drawn(len(batch), generator)
        named = torch.where((dropped | (sigma >= ATTENTION_BELOW))[:, None], -1, batch.named).to(device)
        noise = torch.randn(clean.shape, generator=generator).to(device)
        self._transformer.set_attn_processor(self.caught_by)
        self._caught.clear()
        # Outside of autocast: the text encoders are so small that half precision makes them slower, on two cores.
        context, pooled = self._reading.apart(ids, generator)
        with torch.autocast(device.type, torch.bfloat16):
            velocity = self._velocity(clean, noise, sigma.to(device), context, pooled)
        cells = batch.cells.to(device)
        return Terms(
            ((velocity - (noise - clean)) ** 2).mean(),
            attention_outside(self._caught, named, cells),
            attention_missing(self._caught, named, cells),
        )

    @torch.no_grad()
    def error(self, batch: Examples, sigma: float, generator: torch.Generator) -> float:
        """Of the velocity at one sigma, where captions are read as the pipeline reads them."""
        self.let_go()
        clean = (batch.latents.float() * self._scale).to(self._device)
        noise = torch.randn(clean.shape, generator=generator).to(self._device)
        context, pooled = self._reading.whole(batch.tokens.to(self._device))
        # Blocks are compiled for training's batches alone.
        with torch.compiler.set_stance("force_eager"), torch.autocast(self._device.type, torch.bfloat16):
            sigmas = torch.full((len(batch),), sigma, device=self._device)
            velocity = self._velocity(clean, noise, sigmas, context, pooled)
        return ((velocity - (noise - clean)) ** 2).mean().item()

    def let_go(self) -> None:
        """Gives the transformer its own attention processors back; the next call replaces them again."""
        self._transformer.set_attn_processor(dict(self._stock))

    def _velocity(
        self, clean: torch.Tensor, noise: torch.Tensor, sigma: torch.Tensor, context: torch.Tensor, pooled: torch.Tensor
    ) -> torch.Tensor:
        part = sigma[:, None, None, None]
        latents = (1 - part) * clean + part * noise
        given = {"encoder_hidden_states": context, "pooled_projections": pooled, "timestep": sigma * 1000}
        return self._transformer(hidden_states=latents, **given, return_dict=False)[0].float()
