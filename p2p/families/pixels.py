"""What families of pixels have in common: no autoencoder, one softmax over text and pixels, a predicted variance."""

from collections.abc import Generator, Mapping, Sequence
from itertools import accumulate
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from p2p.attention.added_keys import ControlledAddedKeys, layers_with_added_keys
from p2p.attention.sites import AttentionSite, Keys
from p2p.errors import UnsupportedSize
from p2p.families.base import DrawnFrom, Finishing
from p2p.families.conditioning import Conditioning
from p2p.families.super_resolution import Stage, enlarged
from p2p.families.unet import UNetFamily
from p2p.finite import require_finite
from p2p.layouts.reach import Reach, nearest
from p2p.samplers.predictions import of_state


class PixelFamily(UNetFamily):
    """A network that removes noise from pixels, -1..1, which are its latents.

    A picture is made by as many stages as `p2p.layouts.reach.nearest` says of its size.

    Attributes:
        leading: columns of its layers in front of the prompt's tokens.
        stages: what makes the pixels of the last step larger, one behind the other.
    """

    processor: ClassVar[Any] = ControlledAddedKeys
    leading: ClassVar[int] = 0
    reads_chunks: ClassVar[bool] = False  # each says a prompt in one vector too, and none was trained on several
    stages: Sequence[Stage] = ()

    @staticmethod
    def layers_of(network: Any) -> Mapping[str, Any]:
        return layers_with_added_keys(network)

    @classmethod
    def packed(cls, pipeline: Any) -> Sequence[torch.nn.Module]:
        return (pipeline.unet,)

    def site(self, name: str, factor: int) -> AttentionSite:
        keys = Keys.TEXT if self.attention_layers[name].only_cross_attention else Keys.BOTH
        return AttentionSite(name, keys, factor, leading=self.leading)

    @property
    def reaches(self) -> Sequence[Reach]:
        """How large its pictures are without a stage, with the first, with the first two, and so on."""
        own = Reach(1, self.network.config.sample_size)
        return [*accumulate((stage.factor for stage in self.stages), Reach.further, initial=own)]

    def latent_shape(self, height: int | None, width: int | None) -> tuple[int, int, int]:
        sides, factor = self._sides(height, width), self.finishing(height, width).factor
        # The network halves the pixels between its levels, and adds what it halved to what it doubles again.
        cell = 2 ** (len(self.network.config.block_out_channels) - 1) * factor
        if any(side % cell for side in sides):
            raise UnsupportedSize(f"{sides[0]}x{sides[1]} pixels: both sides must be multiples of {cell}")
        return self.network.config.in_channels, sides[0] // factor, sides[1] // factor

    def _sides(self, height: int | None, width: int | None) -> tuple[int, int]:
        """Height and width; those of what all stages make where none is given."""
        own = self.reaches[-1].side
        return own if height is None else height, own if width is None else width

    def _stages(self, height: int | None, width: int | None) -> Sequence[Stage]:
        """The stages that make a picture of a size."""
        return self.stages[: nearest(self.reaches, *self._sides(height, width))]

    @torch.no_grad()
    def predict(self, latents: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
        if timestep.ndim:
            timestep = conditioning.batch(timestep)
        output = self._called(conditioning.batch(latents), timestep, conditioning.texts, conditioning.guidance_scale)
        guided = conditioning.combine(of_state(output, latents))
        # Guidance is for the noise: each row keeps the variance that it has by its own text.
        variance = output[len(conditioning.guided) :, latents.shape[1] :]
        return torch.cat([guided, variance], 1)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        # Each is the mean of those that it stands for.
        small = functional.avg_pool2d(pixels, self.finishing(*pixels.shape[-2:]).factor)
        return (small.to(self.device) * 2 - 1).to(self.dtype)

    def decode(self, latents: Tensor) -> Tensor:
        return _shown(latents)

    def finishing(self, height: int | None, width: int | None) -> Finishing:
        stages = self._stages(height, width)
        return Finishing(sum(stage.steps for stage in stages), prod(stage.factor for stage in stages))

    def finish(self, latents: Tensor, rows: Sequence[DrawnFrom]) -> Generator[int, None, Tensor]:
        require_finite(latents, "the latents")
        stages = self._stages(*rows[0].size)
        if not stages:
            return _shown(latents)
        return _shown((yield from enlarged(latents.clamp(-1, 1), rows, stages)))


def _shown(pixels: Tensor) -> Tensor:
    """Pixels in -1..1 as those in 0..1, float32."""
    require_finite(pixels, "the pixels")
    return (pixels.float() / 2 + 0.5).clamp(0, 1)
