"""Z-Image and everything of its layout: pixels and Qwen3's tokens in one stream, behind refiners of each alone.

A text has as many positions as its prompt, filled up to a multiple, and the pixels' places begin behind it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from diffusers import ZImagePipeline
from diffusers.pipelines.z_image.pipeline_z_image import get_default_z_image_sigmas
from torch import Tensor

from p2p.attention.joint_processors import JointProcessor, ZImageAttention
from p2p.attention.sites import AttentionSite, Keys
from p2p.errors import UnsupportedModel, UnsupportedSize
from p2p.families.chat import lengths_of, of_lengths, require_template
from p2p.families.encoded import Encoded
from p2p.families.flow import PATCH, FlowFamily
from p2p.layouts.z_image import PREFIX, SUFFIX
from p2p.samplers.flow import by_sigmas

#: Pixels a side of a picture for which no size is asked: the pipeline's, which is nowhere in its files.
NATIVE = 1024
#: Layers whose maps are read, by how many there are. Nobody has published in which ones words are found best: these lie
#: between a quarter and a half of the way, as do most of those that were published of FLUX.1 and SD3. Of others, all.
READ_LAYERS: Mapping[int, Sequence[int]] = {30: range(7, 16, 2)}


class ZImage(FlowFamily):
    """A `ZImagePipeline`'s parts, as a `ModelFamily`.

    Raises:
        UnsupportedModel: a part of it is not handled exactly (`p2p.layouts.z_image`).
    """

    name = "z_image"
    kind = ZImagePipeline
    processors: ClassVar[Mapping[str, type[JointProcessor]]] = {"ZSingleStreamAttnProcessor": ZImageAttention}
    published_widens = False
    latent_dtype = torch.float32  # as in the pipeline, whatever the network's is

    def __init__(self, pipeline: Any, revision: str = "unknown") -> None:
        super().__init__(pipeline, revision)
        require_template(pipeline.tokenizer, PREFIX, SUFFIX, thinking=True)
        (segment,) = self.tokenizer.segments
        if segment.limit % ZImageAttention.PADDED_TO:
            raise UnsupportedModel(
                f"tokenizer reads {segment.limit} tokens, and texts are filled up to multiples of "
                f"{ZImageAttention.PADDED_TO}: set its model_max_length to one"
            )

    def named_sites(self) -> Sequence[AttentionSite]:
        # The refiner of texts is no site: it sees no pixels.
        refiners = [
            AttentionSite(name, Keys.IMAGE, PATCH, is_carried=True)
            for name in self.attention_layers
            if name.startswith("noise_refiner.")
        ]
        joint = [name for name in self.attention_layers if name.startswith("layers.")]
        read = READ_LAYERS.get(len(joint), range(len(joint)))
        return refiners + [
            AttentionSite(name, Keys.JOINT, PATCH, is_read=block in read, is_carried=True, block=block)
            for block, name in enumerate(joint)
        ]

    def scheduler(self, steps: int, positions: int) -> Any:
        return by_sigmas(self.pipeline.scheduler, steps, positions, self.device, get_default_z_image_sigmas)

    def latent_shape(self, height: int | None, width: int | None) -> tuple[int, int, int]:
        # Tiny models of tests say another size.
        native = getattr(self.pipeline, "default_sample_size", NATIVE // self.scale_factor) * self.scale_factor
        sides = [native if side is None else side for side in (height, width)]
        self.require_multiples(sides)
        cell = PATCH * self.scale_factor
        most = min(self.network.config.axes_lens[1:]) * cell
        if max(sides) > most:
            raise UnsupportedSize(f"{sides[0]}x{sides[1]} pixels: this model has places for {most} a side")
        return self.latent_channels, sides[0] // self.scale_factor, sides[1] // self.scale_factor

    def guides(self, guidance_scale: float) -> bool:
        return guidance_scale > 0  # the pipeline's scale is less by one than that of others

    def guided(self, without: Tensor, rows: Tensor, scale: Tensor) -> Tensor:
        return rows + scale * (rows - without)

    @torch.no_grad()
    def encode_prompts(self, prompts: Sequence[str], chunks: int = 1) -> Encoded:
        (segment,) = self.tokenizer.segments
        texts = [f"{segment.prefix}{prompt}{segment.suffix}" for prompt in prompts]
        how = {"padding": "max_length", "truncation": True, "max_length": segment.limit, "return_tensors": "pt"}
        given = self.pipeline.tokenizer(texts, **how).to(self.device)
        mask = given.attention_mask.bool()
        said = self.pipeline.text_encoder(input_ids=given.input_ids, attention_mask=mask, output_hidden_states=True)
        return of_lengths(said.hidden_states[-2].to(self.dtype), mask, segment.limit)

    def encode_negative(self, prompt: str, chunks: int = 1) -> Encoded:
        return self.encode_prompts([prompt], chunks)

    def called(self, latents: Tensor, timestep: Tensor, texts: Encoded, guidance_scale: Tensor) -> Tensor:
        pictures = list(latents.to(self.dtype).unsqueeze(2).unbind(0))
        words = [row[:length] for row, length in zip(texts.context, lengths_of(texts), strict=True)]
        output = self.network(pictures, (1000 - timestep) / 1000, words, return_dict=False)[0]
        # It says the way from the noise to the picture, and a velocity here goes the other way.
        return -torch.stack([each.float() for each in output]).squeeze(2)
